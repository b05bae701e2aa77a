// Crossfade and grade, at the student's size: there are fewer pixels there than on the screen.
uniform sampler2D newest;
uniform sampler2D previous;
uniform float fade;       // [0, 1], the weight of the newest picture
uniform vec3 gains;       // exposure and colour temperature, linear light
uniform float contrast;   // [0, 2], about middle grey
uniform float saturation; // [0, 2]
in vec2 uv;
out vec4 colour;

const float MIDDLE_GREY = 0.4613; // 18 % linear light, as sRGB encodes it

// The sRGB curve as a cubic (within 0.002) and its inverse fitted to it (round trip within 0.3/255).
// No pow: it is what a software rasteriser pays most for.
vec3 linear_light(vec3 c) {
    return c * (c * (c * 0.305306011 + 0.682171111) + 0.012522878);
}

vec3 encoded(vec3 x) {
    vec3 s1 = sqrt(x);
    vec3 s2 = sqrt(s1);
    vec3 s3 = sqrt(s2);
    return 1.09324742 * s1 + 0.08585753 * s2 - 0.0442616 * s3 - 0.13590779 * x;
}

vec3 graded(vec3 c) {
    vec3 x = linear_light(c) * gains;
    float luma = dot(x, vec3(0.2126, 0.7152, 0.0722));
    x = clamp(mix(vec3(luma), x, saturation), 0.0, 1.0);
    return (encoded(x) - MIDDLE_GREY) * contrast + MIDDLE_GREY;
}

void main() {
    vec3 c = texture(newest, uv).rgb;
#ifdef FADE
    c = mix(texture(previous, uv).rgb, c, fade);
#endif
#ifdef GRADE
    c = graded(c);
#endif
    colour = vec4(c, 1.0);
}
