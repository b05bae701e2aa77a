/*{
    "ISFVSN": "2",
    "CREDIT": "Vivant, Apache-2.0",
    "DESCRIPTION": "wet colour on rough paper: edges run along its fibres and dry darker",
    "CATEGORIES": ["Paint"],
    "INPUTS": [
        {"NAME": "inputImage", "TYPE": "image"},
        {"NAME": "wet", "TYPE": "float", "DEFAULT": 0.5, "MIN": 0.0, "MAX": 1.0, "LABEL": "how far edges run"},
        {"NAME": "edge", "TYPE": "float", "DEFAULT": 0.7, "MIN": 0.0, "MAX": 2.0, "LABEL": "how dark they dry"},
        {"NAME": "tooth", "TYPE": "float", "DEFAULT": 0.35, "MIN": 0.0, "MAX": 1.0, "LABEL": "how rough the paper is"},
        {"NAME": "paper", "TYPE": "color", "DEFAULT": [0.97, 0.95, 0.9, 1.0], "LABEL": "the paper"}
    ],
    "PASSES": [
        {"TARGET": "soaked", "WIDTH": "floor($WIDTH/3.0)", "HEIGHT": "floor($HEIGHT/3.0)"},
        {}
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
    vec2 at = isf_FragNormCoord * vec2(RENDERSIZE.x / RENDERSIZE.y, 1.0);
    if (PASSINDEX == 0) {
        vec2 reach = (1.0 + 3.0 * wet) / RENDERSIZE;
        vec3 sum = 2.0 * IMG_THIS_PIXEL(inputImage).rgb;
        sum += IMG_NORM_PIXEL(inputImage, isf_FragNormCoord + reach * vec2(1.0, 0.4)).rgb;
        sum += IMG_NORM_PIXEL(inputImage, isf_FragNormCoord - reach * vec2(1.0, 0.4)).rgb;
        sum += IMG_NORM_PIXEL(inputImage, isf_FragNormCoord + reach * vec2(-0.4, 1.0)).rgb;
        sum += IMG_NORM_PIXEL(inputImage, isf_FragNormCoord - reach * vec2(-0.4, 1.0)).rgb;
        gl_FragColor = vec4(sum / 6.0, 1.0);
        return;
    }
    // Fibres are long one way and short the other; two layers of them cross.
    float along = noise(at * vec2(18.0, 90.0)), across = noise(at * vec2(110.0, 24.0) + 7.0);
    vec2 run = (vec2(along, across) - 0.5) * 0.022 * wet;
    vec3 sharp = IMG_NORM_PIXEL(inputImage, isf_FragNormCoord + run).rgb;
    vec3 soft = IMG_NORM_PIXEL(soaked, isf_FragNormCoord + run).rgb;
    float luma = dot(sharp - soft, vec3(0.3, 0.6, 0.1));
    vec3 c = mix(sharp, soft, 0.5 * wet);
    c *= 1.0 - edge * smoothstep(0.0, 0.25, -luma);
    float grain = 0.5 * (along + across) + 0.5 * noise(at * 260.0) - 0.5;
    c += tooth * (grain - 0.25) * (0.1 + 0.4 * (c * (1.0 - c)));
    gl_FragColor = vec4(c * mix(vec3(1.0), paper.rgb, 0.8), 1.0);
}
