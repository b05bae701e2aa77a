/*{
    "ISFVSN": "2",
    "DESCRIPTION": "four bands of the spectrum",
    "INPUTS": [
        {
            "NAME": "bands",
            "TYPE": "audioFFT",
            "MAX": 4
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(vec3(IMG_PIXEL(bands, vec2(floor(isf_FragNormCoord.x * 4.0) + 0.5, 0.5)).r), 1.0);
}
