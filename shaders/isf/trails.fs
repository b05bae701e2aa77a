/*{
    "ISFVSN": "2",
    "CREDIT": "Vivant, Apache-2.0",
    "DESCRIPTION": "what was bright stays for a while, drifts off and cools",
    "CATEGORIES": ["Feedback"],
    "INPUTS": [
        {"NAME": "inputImage", "TYPE": "image"},
        {"NAME": "half_life", "TYPE": "float", "DEFAULT": 0.8, "MIN": 0.05, "MAX": 8.0, "LABEL": "seconds until half of it is gone"},
        {"NAME": "grow", "TYPE": "float", "DEFAULT": 0.06, "MIN": -0.5, "MAX": 0.5, "LABEL": "how fast it grows outward"},
        {"NAME": "turn", "TYPE": "float", "DEFAULT": 0.03, "MIN": -0.5, "MAX": 0.5, "LABEL": "how fast it turns"},
        {"NAME": "drift", "TYPE": "point2D", "DEFAULT": [0.0, 0.02], "MIN": [-0.3, -0.3], "MAX": [0.3, 0.3], "LABEL": "where it drifts"},
        {"NAME": "cool", "TYPE": "color", "DEFAULT": [0.86, 0.95, 1.0, 1.0], "LABEL": "what a second makes of white"},
        {"NAME": "clear", "TYPE": "event", "LABEL": "let go of everything"}
    ],
    "PASSES": [
        {"TARGET": "trail", "PERSISTENT": true, "FLOAT": true}
    ]
}*/

void main() {
    vec3 now = IMG_THIS_PIXEL(inputImage).rgb;
    float passed = min(TIMEDELTA, 0.2);
    vec2 q = isf_FragNormCoord - 0.5;
    float angle = turn * passed;
    q = mat2(cos(angle), -sin(angle), sin(angle), cos(angle)) * q * (1.0 - grow * passed);
    vec3 before = IMG_NORM_PIXEL(trail, q + 0.5 - drift * passed).rgb;
    before *= exp2(-passed / half_life) * pow(max(cool.rgb, 0.01), vec3(passed));
    gl_FragColor = vec4(clear || FRAMEINDEX == 0 ? now : max(now, before), 1.0);
}
