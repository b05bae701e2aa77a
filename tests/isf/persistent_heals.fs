/*{
    "ISFVSN": "2",
    "DESCRIPTION": "no number for one frame, and well again after",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "sum",
            "PERSISTENT": true,
            "FLOAT": true
        }
    ]
}*/

void main() {
    float x = FRAMEINDEX == 0 ? intBitsToFloat(0x7fc00000 + FRAMEINDEX) : IMG_THIS_PIXEL(sum).r;
    gl_FragColor = vec4(x + 0.25, x, 0.0, 1.0);
}
