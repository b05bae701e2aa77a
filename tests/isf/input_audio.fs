/*{
    "ISFVSN": "2",
    "DESCRIPTION": "the wave of the sound",
    "INPUTS": [
        {
            "NAME": "wave",
            "TYPE": "audio"
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(vec3(IMG_NORM_PIXEL(wave, vec2(isf_FragNormCoord.x, 0.5)).r), 1.0);
}
