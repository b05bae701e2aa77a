// Covers the whole target, for passes from one texture into another. Row 0 is the top row of a picture.
in vec2 at;
out vec2 uv;

void main() {
    uv = at;
    gl_Position = vec4(at * 2.0 - 1.0, 0.0, 1.0);
}
