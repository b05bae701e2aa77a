/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a row of the wave for each channel",
    "INPUTS": [
        {
            "NAME": "wave",
            "TYPE": "audio",
            "MAX": 4
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(vec3(IMG_NORM_PIXEL(wave, isf_FragNormCoord.y < 0.5 ? vec2(0.125, 0.25) : vec2(0.125, 0.75)).g), 1.0);
}
