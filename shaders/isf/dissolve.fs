/*{
    "ISFVSN": "2",
    "CREDIT": "Vivant, Apache-2.0",
    "DESCRIPTION": "one picture comes up through the other in clouds",
    "CATEGORIES": ["Transition"],
    "INPUTS": [
        {"NAME": "startImage", "TYPE": "image"},
        {"NAME": "endImage", "TYPE": "image"},
        {"NAME": "progress", "TYPE": "float", "DEFAULT": 0.0, "MIN": 0.0, "MAX": 1.0},
        {"NAME": "scale", "TYPE": "float", "DEFAULT": 5.0, "MIN": 1.0, "MAX": 40.0, "LABEL": "how many clouds"},
        {"NAME": "soft", "TYPE": "float", "DEFAULT": 0.25, "MIN": 0.01, "MAX": 1.0, "LABEL": "how soft their edges are"}
    ]
}*/

float chance(vec2 at) {
    vec3 p = fract(vec3(at.xyx) * 0.1031);
    p += dot(p, p.yzx + 33.33);
    return fract((p.x + p.y) * p.z);
}

float noise(vec2 at) {
    vec2 cell = floor(at), f = fract(at);
    f = f * f * (3.0 - 2.0 * f);
    float low = mix(chance(cell), chance(cell + vec2(1.0, 0.0)), f.x);
    float high = mix(chance(cell + vec2(0.0, 1.0)), chance(cell + vec2(1.0, 1.0)), f.x);
    return mix(low, high, f.y);
}

void main() {
    vec2 at = isf_FragNormCoord * vec2(RENDERSIZE.x / RENDERSIZE.y, 1.0) * scale;
    float cloud = 0.55 * noise(at) + 0.3 * noise(at * 2.3 + 4.0) + 0.15 * noise(at * 5.1 + 9.0);
    // From 0 to 1 whatever the clouds: nothing of the one picture is left at the end.
    float share = smoothstep(0.0, soft, progress * (1.0 + soft) - smoothstep(0.2, 0.8, cloud));
    gl_FragColor = mix(IMG_THIS_PIXEL(startImage), IMG_THIS_PIXEL(endImage), share);
}
