/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a sum above 1",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "sum",
            "PERSISTENT": true,
            "FLOAT": true
        },
        {}
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(IMG_THIS_PIXEL(sum).r + 1.5, 0.0, 0.0, 1.0) : vec4(IMG_THIS_PIXEL(sum).r / 10.0, 0.0, 0.0, 1.0);
}
