/*{
    "ISFVSN": "2",
    "DESCRIPTION": "more than white and less than black",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = IMG_THIS_PIXEL(inputImage) * 4.0 - 1.0;
}
