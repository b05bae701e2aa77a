/*{
    "ISFVSN": "2",
    "DESCRIPTION": "left and right exchanged",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = IMG_NORM_PIXEL(inputImage, vec2(1.0 - isf_FragNormCoord.x, isf_FragNormCoord.y));
}
