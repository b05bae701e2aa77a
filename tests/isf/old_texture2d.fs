/*{
    "ISFVSN": "2",
    "DESCRIPTION": "texture2D",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = texture2D(inputImage, isf_FragNormCoord.yx);
}
