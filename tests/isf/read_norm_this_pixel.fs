/*{
    "ISFVSN": "2",
    "DESCRIPTION": "half as bright, by the name that the reference gives the function",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(IMG_NORM_THIS_PIXEL(inputImage).rgb * 0.5, 1.0);
}
