// The flash guard's cells: each pixel is the mean of a cell of the small picture, in linear light.
uniform sampler2D drawn;
out vec4 cell;

const int TEXELS = 4; // a side, to a cell

// As in develop.frag: within 0.002.
vec3 linear_light(vec3 c) {
    return c * (c * (c * 0.305306011 + 0.682171111) + 0.012522878);
}

void main() {
    ivec2 from = ivec2(gl_FragCoord.xy) * TEXELS;
    vec3 sum = vec3(0.0);
    for (int y = 0; y < TEXELS; y++) {
        for (int x = 0; x < TEXELS; x++) {
            sum += linear_light(texelFetch(drawn, from + ivec2(x, y), 0).rgb);
        }
    }
    cell = vec4(sum / float(TEXELS * TEXELS), 1.0);
}
