/*{
    "ISFVSN": "2",
    "DESCRIPTION": "how large the picture is",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(IMG_SIZE(inputImage) / 64.0, 0.0, 1.0);
}
