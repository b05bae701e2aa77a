/*{
    "ISFVSN": "2",
    "DESCRIPTION": "two pictures",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        },
        {
            "NAME": "other",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = 0.5 * IMG_THIS_PIXEL(inputImage) + 0.5 * IMG_THIS_PIXEL(other);
}
