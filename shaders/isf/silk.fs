/*{
    "ISFVSN": "2",
    "CREDIT": "Vivant, Apache-2.0",
    "DESCRIPTION": "folds of cloth that move as slowly as smoke: a picture for the student to paint",
    "CATEGORIES": ["Generator"],
    "INPUTS": [
        {"NAME": "speed", "TYPE": "float", "DEFAULT": 0.06, "MIN": 0.0, "MAX": 1.0, "LABEL": "how fast it moves"},
        {"NAME": "scale", "TYPE": "float", "DEFAULT": 2.2, "MIN": 0.5, "MAX": 8.0, "LABEL": "how many folds"},
        {"NAME": "warp", "TYPE": "float", "DEFAULT": 1.3, "MIN": 0.0, "MAX": 4.0, "LABEL": "how folded it is"},
        {"NAME": "deep", "TYPE": "color", "DEFAULT": [0.05, 0.08, 0.22, 1.0], "LABEL": "the colour of the depths"},
        {"NAME": "body", "TYPE": "color", "DEFAULT": [0.72, 0.2, 0.24, 1.0], "LABEL": "the colour of the cloth"},
        {"NAME": "light", "TYPE": "color", "DEFAULT": [0.98, 0.86, 0.55, 1.0], "LABEL": "the colour of its light"}
    ]
}*/

// Waves instead of a lattice of chances: as smooth as cloth, and a fifth of the cost.
float fold(vec2 p) {
    float sum = 0.0, part = 0.5;
    for (int i = 0; i < 4; i++) {
        sum += part * sin(p.x + sin(1.7 * p.y)) * cos(0.9 * p.y - sin(0.8 * p.x));
        p = mat2(1.2, 0.9, -0.9, 1.2) * p * 1.24 + 1.7;
        part *= 0.55;
    }
    return sum;
}

void main() {
    vec2 p = (isf_FragNormCoord - 0.5) * vec2(RENDERSIZE.x / RENDERSIZE.y, 1.0) * scale * 2.0;
    float t = TIME * speed;
    vec2 q = vec2(fold(p + vec2(t, 0.3 * t)), fold(p + vec2(5.2, 1.3 - 0.7 * t)));
    vec2 r = vec2(fold(p + warp * 2.0 * q + vec2(1.7, 9.2 + t)), fold(p + warp * 2.0 * q + vec2(8.3, 2.8)));
    float height = 0.5 + 0.5 * fold(p + warp * r);
    vec3 c = mix(deep.rgb, body.rgb, smoothstep(0.15, 0.75, height));
    c = mix(c, light.rgb, smoothstep(0.55, 1.0, height) * smoothstep(0.2, 0.9, length(r)));
    c *= 0.75 + 0.5 * smoothstep(-0.6, 0.6, q.x);
    gl_FragColor = vec4(c, 1.0);
}
