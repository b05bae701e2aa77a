/*{
    "ISFVSN": "2",
    "DESCRIPTION": "two passes into one buffer, which is new in every frame",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "a"
        },
        {
            "TARGET": "a"
        },
        {}
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(0.25, 0.0, 0.0, 1.0) + IMG_THIS_PIXEL(a) : IMG_THIS_PIXEL(a) + vec4(0.25, 0.5, 0.0, 0.0);
}
