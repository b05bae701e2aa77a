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

// A sine made of parabolas, and waves instead of a lattice of chances: as smooth as cloth, at a fraction of the
// cost where no graphics card does it.
vec4 wave(vec4 x) {
    vec4 t = fract(x * 0.15915494) - 0.5;
    return 16.0 * t * (abs(t) - 0.5);
}

// Two heights at once, at p.xy and at p.zw.
vec2 folds(vec4 p) {
    vec2 sum = vec2(0.0);
    float part = 0.5;
    for (int i = 0; i < 4; i++) {
        vec4 bent = wave(vec4(1.7 * p.yw, 0.8 * p.xz));
        vec4 made = wave(vec4(p.xz + bent.xy, 0.9 * p.yw - bent.zw + 1.5707963));
        sum += part * made.xy * made.zw;
        p = 1.24 * vec4(1.2 * p.x - 0.9 * p.y, 0.9 * p.x + 1.2 * p.y, 1.2 * p.z - 0.9 * p.w, 0.9 * p.z + 1.2 * p.w) + 1.7;
        part *= 0.55;
    }
    return sum;
}

void main() {
    vec2 p = (isf_FragNormCoord - 0.5) * vec2(RENDERSIZE.x / RENDERSIZE.y, 1.0) * scale * 2.0;
    float t = TIME * speed;
    vec2 q = folds(vec4(p + vec2(t, 0.3 * t), p + vec2(5.2, 1.3 - 0.7 * t)));
    vec2 at = p + warp * 2.0 * q;
    vec2 r = folds(vec4(at + vec2(1.7, 9.2 + t), at + vec2(8.3, 2.8)));
    float height = 0.5 + 0.5 * folds(vec4(p + warp * r, 0.0, 0.0)).x;
    vec3 c = mix(deep.rgb, body.rgb, smoothstep(0.15, 0.75, height));
    c = mix(c, light.rgb, smoothstep(0.55, 1.0, height) * smoothstep(0.2, 0.9, length(r)));
    c *= 0.75 + 0.5 * smoothstep(-0.6, 0.6, q.x);
    gl_FragColor = vec4(c, 1.0);
}
