/*{
    "ISFVSN": "2",
    "CREDIT": "Vivant, Apache-2.0",
    "DESCRIPTION": "a wet edge runs over the picture and leaves the other behind",
    "CATEGORIES": ["Transition"],
    "INPUTS": [
        {"NAME": "startImage", "TYPE": "image"},
        {"NAME": "endImage", "TYPE": "image"},
        {"NAME": "progress", "TYPE": "float", "DEFAULT": 0.0, "MIN": 0.0, "MAX": 1.0},
        {"NAME": "angle", "TYPE": "float", "DEFAULT": 0.96, "MIN": 0.0, "MAX": 1.0, "LABEL": "where to, as a share of a turn"},
        {"NAME": "ragged", "TYPE": "float", "DEFAULT": 0.5, "MIN": 0.0, "MAX": 1.0, "LABEL": "how uneven the edge is"},
        {"NAME": "wet", "TYPE": "float", "DEFAULT": 0.6, "MIN": 0.0, "MAX": 1.0, "LABEL": "how dark and bent it is there"}
    ]
}*/

float chance(float at) {
    return fract(sin(at * 127.1) * 43758.5453);
}

float along_edge(float at) {
    float cell = floor(at), f = fract(at);
    return mix(chance(cell), chance(cell + 1.0), f * f * (3.0 - 2.0 * f));
}

void main() {
    float turn = 6.28318531 * angle;
    vec2 way = vec2(cos(turn), sin(turn));
    vec2 q = isf_FragNormCoord - 0.5;
    float side = dot(q, vec2(-way.y, way.x));
    float uneven = 0.6 * along_edge(side * 5.0 + 3.0) + 0.25 * along_edge(side * 17.0) + 0.15 * along_edge(side * 60.0);
    // How far a pixel lies before the edge, which is out of sight at both ends.
    float reach = 0.5 * (abs(way.x) + abs(way.y)), band = 0.09 + 0.2 * ragged;
    float edge = mix(-reach - band, reach + band, progress);
    float ahead = dot(q, way) - edge - (uneven - 0.5) * 2.0 * 0.2 * ragged;
    float at_edge = exp(-ahead * ahead * 700.0), behind = smoothstep(0.006, -0.006, ahead);
    vec2 bent = way * wet * 0.05 * at_edge * (ahead > 0.0 ? 1.0 : -0.5);
    vec3 before = IMG_NORM_PIXEL(startImage, isf_FragNormCoord - bent).rgb;
    vec3 after = IMG_NORM_PIXEL(endImage, isf_FragNormCoord - bent).rgb;
    vec3 c = mix(before, after, behind);
    // Pigment is carried to the rim and dries there; just behind it the paper still shines.
    c *= 1.0 - wet * (0.75 * at_edge * behind + 0.35 * exp(-ahead * ahead * 9000.0));
    c += wet * 0.12 * behind * exp(-(ahead + 0.07) * (ahead + 0.07) * 1500.0);
    gl_FragColor = vec4(c, 1.0);
}
