/*{
    "ISFVSN": "2",
    "DESCRIPTION": "how large its picture is",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ],
    "IMPORTED": {
        "corners": {
            "PATH": "./corners.png"
        }
    }
}*/

void main() {
    gl_FragColor = vec4(IMG_SIZE(corners) / 8.0, IMG_THIS_PIXEL(inputImage).b, 1.0);
}
