/*{
    "DESCRIPTION": "the first version's dictionary of buffers",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "sum"
        },
        {}
    ],
    "PERSISTENT_BUFFERS": {
        "sum": {
            "WIDTH": "$WIDTH/3",
            "HEIGHT": "2",
            "FLOAT": true
        }
    }
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(0.5) : vec4(IMG_SIZE(sum) / 64.0, IMG_THIS_PIXEL(sum).r, 1.0);
}
