// The picture on the screen: upscale, vignette, film grain.
uniform sampler2D picture;
uniform sampler2D noise; // 256 x 256, mean one half, repeats
uniform float grain;     // [0, 1]
uniform float vignette;  // [0, 1]
uniform float opacity;
in vec2 uv;
in vec2 from_middle;
in vec2 noise_at;
out vec4 colour;

#ifdef SHARP
// Catmull-Rom in five bilinear reads: the corners of the 4 x 4 kernel weigh next to nothing.
vec3 upscaled() {
    vec2 size = vec2(textureSize(picture, 0));
    vec2 middle = floor(uv * size - 0.5) + 0.5;
    vec2 f = uv * size - middle;
    vec2 w0 = f * (-0.5 + f * (1.0 - 0.5 * f));
    vec2 w1 = 1.0 + f * f * (-2.5 + 1.5 * f);
    vec2 w2 = f * (0.5 + f * (2.0 - 1.5 * f));
    vec2 w3 = f * f * (-0.5 + 0.5 * f);
    vec2 w12 = w1 + w2;
    vec2 p0 = (middle - 1.0) / size;
    vec2 p3 = (middle + 2.0) / size;
    vec2 p12 = (middle + w2 / w12) / size;
    vec4 sum = vec4(texture(picture, p12).rgb, 1.0) * (w12.x * w12.y);
    sum += vec4(texture(picture, vec2(p12.x, p0.y)).rgb, 1.0) * (w12.x * w0.y);
    sum += vec4(texture(picture, vec2(p0.x, p12.y)).rgb, 1.0) * (w0.x * w12.y);
    sum += vec4(texture(picture, vec2(p3.x, p12.y)).rgb, 1.0) * (w3.x * w12.y);
    sum += vec4(texture(picture, vec2(p12.x, p3.y)).rgb, 1.0) * (w12.x * w3.y);
    return clamp(sum.rgb / sum.a, 0.0, 1.0);
}
#else
vec3 upscaled() {
    return texture(picture, uv).rgb;
}
#endif

void main() {
    float corner = 0.5 * dot(from_middle, from_middle);
    vec3 c = upscaled() * (1.0 - vignette * 0.75 * corner * corner);
#ifdef GRAIN
    // Strongest in the middle tones, as in film; its mean over the picture does not change with time.
    float n = texture(noise, noise_at).r - 0.5;
    c += n * grain * (0.06 + 0.9 * c.g * (1.0 - c.g));
#endif
    colour = vec4(c, opacity);
}
