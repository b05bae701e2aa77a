/*{
    "ISFVSN": "2",
    "CREDIT": "Vivant, Apache-2.0",
    "DESCRIPTION": "light spills over from what is bright",
    "CATEGORIES": ["Glow"],
    "INPUTS": [
        {"NAME": "inputImage", "TYPE": "image"},
        {"NAME": "amount", "TYPE": "float", "DEFAULT": 0.6, "MIN": 0.0, "MAX": 2.0, "LABEL": "how much light spills"},
        {"NAME": "threshold", "TYPE": "float", "DEFAULT": 0.55, "MIN": 0.0, "MAX": 1.0, "LABEL": "how bright spills"},
        {"NAME": "reach", "TYPE": "float", "DEFAULT": 1.5, "MIN": 0.5, "MAX": 4.0, "LABEL": "how far it reaches"},
        {"NAME": "tint", "TYPE": "color", "DEFAULT": [1.0, 0.93, 0.82, 1.0], "LABEL": "the light's colour"}
    ],
    "PASSES": [
        {"TARGET": "bright", "WIDTH": "floor($WIDTH/4.0)", "HEIGHT": "floor($HEIGHT/4.0)"},
        {"TARGET": "across", "WIDTH": "floor($WIDTH/4.0)", "HEIGHT": "floor($HEIGHT/4.0)"},
        {"TARGET": "spilt", "WIDTH": "floor($WIDTH/4.0)", "HEIGHT": "floor($HEIGHT/4.0)"},
        {}
    ]
}*/

// What is brighter than the threshold, read four times so that no small light is missed and then flickers.
vec3 brightest() {
    vec2 texel = 1.0 / IMG_SIZE(inputImage);
    vec3 c = vec3(0.0);
    for (int i = 0; i < 4; i++) {
        vec2 corner = vec2(i < 2 ? -1.0 : 1.0, (i & 1) == 0 ? -1.0 : 1.0);
        c += 0.25 * IMG_NORM_PIXEL(inputImage, isf_FragNormCoord + corner * texel).rgb;
    }
    float luma = dot(c, vec3(0.2126, 0.7152, 0.0722));
    return c * smoothstep(threshold, threshold + 0.3, luma);
}

// A bell over nine pixels in five reads: between two pixels the card itself takes their mean.
const vec3 AT = vec3(0.0, 1.3846, 3.2308);
const vec3 WEIGHT = vec3(0.2270, 0.3162, 0.0703);

void main() {
    if (PASSINDEX == 0) {
        gl_FragColor = vec4(brightest(), 1.0);
    } else if (PASSINDEX == 1) {
        vec3 sum = IMG_THIS_PIXEL(bright).rgb * WEIGHT.x;
        for (int i = 1; i < 3; i++) {
            vec2 step = vec2(AT[i] * reach / RENDERSIZE.x, 0.0);
            sum += WEIGHT[i] * IMG_NORM_PIXEL(bright, isf_FragNormCoord + step).rgb;
            sum += WEIGHT[i] * IMG_NORM_PIXEL(bright, isf_FragNormCoord - step).rgb;
        }
        gl_FragColor = vec4(sum, 1.0);
    } else if (PASSINDEX == 2) {
        vec3 sum = IMG_THIS_PIXEL(across).rgb * WEIGHT.x;
        for (int i = 1; i < 3; i++) {
            vec2 step = vec2(0.0, AT[i] * reach / RENDERSIZE.y);
            sum += WEIGHT[i] * IMG_NORM_PIXEL(across, isf_FragNormCoord + step).rgb;
            sum += WEIGHT[i] * IMG_NORM_PIXEL(across, isf_FragNormCoord - step).rgb;
        }
        gl_FragColor = vec4(sum, 1.0);
    } else {
        vec3 c = IMG_THIS_PIXEL(inputImage).rgb;
        vec3 light = IMG_THIS_PIXEL(spilt).rgb * tint.rgb * amount;
        gl_FragColor = vec4(1.0 - (1.0 - c) * (1.0 - min(light, 1.0)), 1.0);
    }
}
