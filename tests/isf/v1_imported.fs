/*{
    "DESCRIPTION": "the first version's list of pictures",
    "INPUTS": [],
    "IMPORTED": [
        {
            "NAME": "corners",
            "PATH": "corners.png"
        }
    ]
}*/

void main() {
    gl_FragColor = IMG_NORM_PIXEL(corners, isf_FragNormCoord);
}
