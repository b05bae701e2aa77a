/*{
    "DESCRIPTION": "the first version's name of the place of a pixel",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = IMG_NORM_PIXEL(inputImage, vec2(vv_FragNormCoord.x, 1.0 - vv_FragNormCoord.y));
}
