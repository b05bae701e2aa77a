/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a main that ends early",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    if (isf_FragNormCoord.y > 0.5) {
        gl_FragColor = vec4(0.0, 1.0, 0.0, 1.0);
        return;
    }
    gl_FragColor = IMG_THIS_PIXEL(inputImage);
}
