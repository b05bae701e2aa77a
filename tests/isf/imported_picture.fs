/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a picture of its own, the right way up",
    "INPUTS": [],
    "IMPORTED": {
        "corners": {
            "PATH": "corners.png"
        }
    }
}*/

void main() {
    gl_FragColor = IMG_NORM_PIXEL(corners, isf_FragNormCoord);
}
