/*{
    "ISFVSN": "2",
    "DESCRIPTION": "no word of alpha",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor.rgb = IMG_THIS_PIXEL(inputImage).rrr;
}
