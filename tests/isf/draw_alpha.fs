/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a filter that is half there, over black",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(IMG_THIS_PIXEL(inputImage).rgb, 0.5);
}
