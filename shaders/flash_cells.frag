// The flash guard's small picture: each pixel is the mean of a cell of the shown picture, in linear light.
uniform sampler2D drawn;
out vec4 cell;

#ifdef SHARP
const int TAPS = 16; // a side
#else
const int TAPS = 8; // a software rasteriser pays for each
#endif
const vec2 CELLS = vec2(64.0, 36.0);

// As in develop.frag: within 0.002.
vec3 linear_light(vec3 c) {
    return c * (c * (c * 0.305306011 + 0.682171111) + 0.012522878);
}

void main() {
    vec2 span = vec2(textureSize(drawn, 0)) / CELLS;
    vec2 from = floor(gl_FragCoord.xy) * span;
    vec3 sum = vec3(0.0);
    for (int y = 0; y < TAPS; y++) {
        for (int x = 0; x < TAPS; x++) {
            vec2 at = (vec2(x, y) + 0.5) / float(TAPS);
            sum += linear_light(texelFetch(drawn, ivec2(from + at * span), 0).rgb);
        }
    }
    cell = vec4(sum / float(TAPS * TAPS), 1.0);
}
