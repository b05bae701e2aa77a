/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a vertex shader that knows its pass",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "a"
        },
        {}
    ]
}*/

varying float of_pass;

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(of_pass) : vec4(IMG_THIS_PIXEL(a).r, of_pass, 0.0, 1.0);
}
