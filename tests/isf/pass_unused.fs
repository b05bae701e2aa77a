/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a pass between whose picture goes nowhere",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "a"
        },
        {},
        {}
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 2 ? vec4(0.0, IMG_THIS_PIXEL(a).g, 0.0, 1.0) : vec4(PASSINDEX == 0 ? 1.0 : 0.5);
}
