/*{
    "ISFVSN": "2",
    "DESCRIPTION": "pixels that are left out",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    if (gl_FragCoord.x < 6.0) discard;
    gl_FragColor = IMG_THIS_PIXEL(inputImage);
}
