// Places the picture on the target. The slow motion of a held picture is worked out at the corners of a
// coarse mesh, so that it costs no fragment.
uniform vec4 place;       // left, top, right, bottom of the mesh in clip space
uniform vec4 crop;        // the same corners in the picture, [0, 1]; left > right mirrors it
uniform float living;     // [0, 1], how far the motion of a held picture has grown
uniform vec4 phases;      // radians, of four slow waves
uniform vec2 noise_span;  // how often the noise repeats over the mesh
uniform vec2 noise_start; // where the grain of this moment begins in it
in vec2 at;
out vec2 uv;
out vec2 from_middle; // [-1, 1]
out vec2 noise_at;

// A breath in (zoom) and a drift. At its most it reaches 0.9 % of the picture and moves by about
// 0.5 % a second; the zoom keeps the picture's edges out of sight.
vec2 breathed(vec2 q) {
    float zoom = 1.0 - living * (0.024 + 0.006 * sin(phases.x));
    vec2 wave = vec2(sin(5.7 * q.y + phases.y), sin(6.9 * q.x + phases.z));
    vec2 drift = vec2(sin(phases.w), cos(phases.w));
    return q * zoom + living * (0.006 * wave + 0.003 * drift);
}

void main() {
    uv = breathed(mix(crop.xy, crop.zw, at) - 0.5) + 0.5;
    from_middle = at * 2.0 - 1.0;
    noise_at = at * noise_span + noise_start;
    gl_Position = vec4(mix(place.xy, place.zw, at), 0.0, 1.0);
}
