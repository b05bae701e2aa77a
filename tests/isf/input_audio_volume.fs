/*{
    "ISFVSN": "2",
    "DESCRIPTION": "one sample: how loud it is",
    "INPUTS": [
        {
            "NAME": "wave",
            "TYPE": "audio",
            "MAX": 1
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(vec3(abs(IMG_NORM_PIXEL(wave, vec2(0.5)).r - 0.5) * 2.0), 1.0);
}
