/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a smaller rectangle",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        },
        {
            "NAME": "zoom",
            "TYPE": "float",
            "DEFAULT": 0.5,
            "MIN": 0.0,
            "MAX": 1.0
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(1.0, IMG_THIS_PIXEL(inputImage).g, 0.0, 1.0);
}
