// A picture brought down to a few soft patches of colour, for the border beside it.
uniform sampler2D picture;
in vec2 uv;
out vec4 colour;

const float PATCHES = 16.0; // the target's width and height
const int READS = 4;        // bilinear reads a side of each patch

void main() {
    vec3 sum = vec3(0.0);
    for (int y = 0; y < READS; y++) {
        for (int x = 0; x < READS; x++) {
            vec2 inside = (vec2(x, y) + 0.5) / float(READS) - 0.5;
            sum += textureLod(picture, uv + inside / PATCHES, 0.0).rgb;
        }
    }
    colour = vec4(sum / float(READS * READS), 1.0);
}
