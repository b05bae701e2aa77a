// The border beside a picture that does not fill the target: its own colours, blurred and darkened.
// The blur is read at the corners of the mesh, so that the border costs next to nothing.
uniform sampler2D glow;
uniform vec4 place;      // left, top, right, bottom of the mesh in clip space
uniform vec4 crop;       // the same corners in the glow
uniform vec2 noise_span; // how often the noise repeats over the mesh
in vec2 at;
out vec3 tint;
out vec2 noise_at;

// A cubic B-spline in four bilinear reads: smooth where plain bilinear would show its patches.
vec3 smoothed(vec2 uv) {
    vec2 size = vec2(textureSize(glow, 0));
    vec2 t = uv * size - 0.5;
    vec2 f = fract(t);
    vec2 g = 1.0 - f;
    vec2 w0 = g * g * g / 6.0;
    vec2 w1 = (4.0 - 3.0 * f * f * (2.0 - f)) / 6.0;
    vec2 w3 = f * f * f / 6.0;
    vec2 w2 = 1.0 - w0 - w1 - w3;
    vec2 a = (floor(t) - 0.5 + w1 / (w0 + w1)) / size;
    vec2 b = (floor(t) + 1.5 + w3 / (w2 + w3)) / size;
    vec2 n = w0 + w1;
    vec3 top = mix(textureLod(glow, b, 0.0).rgb, textureLod(glow, vec2(a.x, b.y), 0.0).rgb, n.x);
    vec3 low = mix(textureLod(glow, vec2(b.x, a.y), 0.0).rgb, textureLod(glow, a, 0.0).rgb, n.x);
    return mix(top, low, n.y);
}

void main() {
    tint = smoothed(mix(crop.xy, crop.zw, at)) * 0.22;
    noise_at = at * noise_span;
    gl_Position = vec4(mix(place.xy, place.zw, at), 0.0, 1.0);
}
