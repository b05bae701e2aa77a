/*{
    "ISFVSN": "2",
    "DESCRIPTION": "numbers that bytes do not hold",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "far",
            "FLOAT": true
        },
        {}
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(-3.0, 7.0, 1e-5, 1.0) : vec4(-IMG_THIS_PIXEL(far).r / 6.0, IMG_THIS_PIXEL(far).g / 14.0, IMG_THIS_PIXEL(far).b * 5e4, 1.0);
}
