/*{
    "ISFVSN": "2",
    "DESCRIPTION": "more with every frame",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "sum",
            "PERSISTENT": true
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(IMG_THIS_PIXEL(sum).r + 0.1, 0.0, 0.0, 1.0);
}
