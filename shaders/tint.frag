// A colour that varies slowly, with a dither of half a step so that dark gradients show no bands.
uniform sampler2D noise;
uniform float opacity;
in vec3 tint;
in vec2 noise_at;
out vec4 colour;

void main() {
    colour = vec4(tint + (texture(noise, noise_at).r - 0.5) / 100.0, opacity);
}
