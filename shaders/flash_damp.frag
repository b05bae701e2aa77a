// Moves what is shown toward the new picture no faster than the flash guard lets it, pixel by pixel and in
// linear light: guardrails/flash_damping.py says why and how far.
uniform sampler2D drawn;  // the new picture
uniform sampler2D before; // what was shown last, linear light, in half floats: small steps must not be lost
uniform sampler2D limits; // of this refresh, by cell: of full light, and of the way
in vec2 uv;
layout(location = 0) out vec4 light;
layout(location = 1) out vec4 colour;

// Redness, R - G - B, counts from a sixteenth on; luminance from a tenth.
const float REDNESS = 1.6;
// Light rises more slowly than it falls, so that what flashes settles toward its darker state.
const float RISE = 0.25;

// As in develop.frag: within 0.002, and a round trip within 0.3/255.
vec3 linear_light(vec3 c) {
    return c * (c * (c * 0.305306011 + 0.682171111) + 0.012522878);
}

vec3 encoded(vec3 x) {
    vec3 s1 = sqrt(x);
    vec3 s2 = sqrt(s1);
    vec3 s3 = sqrt(s2);
    return 1.09324742 * s1 + 0.08585753 * s2 - 0.0442616 * s3 - 0.13590779 * x;
}

float redness(vec3 x) {
    return x.r - x.g - x.b;
}

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    vec3 next = linear_light(texelFetch(drawn, at, 0).rgb);
    vec3 last = texelFetch(before, at, 0).rgb;
    vec2 most = texture(limits, uv).rg;
    vec3 change = next - last;
    vec3 size = abs(change);
    float furthest = max(size.r, max(size.g, size.b));
    if (max(redness(next), redness(last)) > 0.0) {
        furthest = max(furthest, REDNESS * abs(redness(change)));
    }
    float limit = dot(change, vec3(0.2126, 0.7152, 0.0722)) > 0.0 ? RISE * most.r : most.r;
    float step = min(min(1.0, limit / max(furthest, 1e-6)), most.g);
    vec3 shown = last + step * change;
    light = vec4(shown, 1.0);
    colour = vec4(encoded(shown), 1.0);
}
