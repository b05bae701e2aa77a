/*{
    "ISFVSN": "2",
    "DESCRIPTION": "green as grey",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(IMG_THIS_NORM_PIXEL(inputImage).ggg, 1.0);
}
