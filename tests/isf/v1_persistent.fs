/*{
    "DESCRIPTION": "the first version's list of buffers",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "sum"
        },
        {}
    ],
    "PERSISTENT_BUFFERS": [
        "sum"
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(IMG_THIS_PIXEL(sum).r + 0.1, 0.0, 0.0, 1.0) : IMG_THIS_PIXEL(sum);
}
