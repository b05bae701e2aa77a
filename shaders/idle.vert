// What is on the screen before the first picture: a dark, warm field that moves slowly.
uniform vec4 phases;     // radians, of four slow waves
uniform vec2 noise_span; // how often the noise repeats over the mesh
in vec2 at;
out vec3 tint;
out vec2 noise_at;

void main() {
    vec2 q = at * 2.0 - 1.0;
    float a = 0.5 + 0.5 * sin(1.9 * q.x + 1.1 * q.y + phases.x);
    float b = 0.5 + 0.5 * sin(2.3 * q.y - 0.9 * q.x + phases.y);
    float glow = 0.5 + 0.5 * sin(1.3 * q.x * q.y + phases.z);
    vec3 umber = vec3(0.190, 0.125, 0.090);
    vec3 slate = vec3(0.060, 0.075, 0.105);
    vec3 plum = vec3(0.125, 0.070, 0.095);
    tint = mix(mix(slate, umber, a), plum, b * 0.6) * (0.75 + 0.35 * glow);
    tint *= 1.0 - 0.25 * dot(q, q);
    noise_at = at * noise_span;
    gl_Position = vec4(q.x, -q.y, 0.0, 1.0);
}
