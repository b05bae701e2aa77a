/*{
    "ISFVSN": "2",
    "DESCRIPTION": "two buffers that stay",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "slow",
            "PERSISTENT": true
        },
        {
            "TARGET": "fast",
            "PERSISTENT": true
        },
        {}
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(IMG_THIS_PIXEL(slow).r + 0.1, 0.0, 0.0, 1.0) : PASSINDEX == 1 ? vec4(IMG_THIS_PIXEL(fast).r + 0.2, 0.0, 0.0, 1.0) : vec4(IMG_THIS_PIXEL(slow).r, IMG_THIS_PIXEL(fast).r, 0.0, 1.0);
}
