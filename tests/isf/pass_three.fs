/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a blur in two directions",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ],
    "PASSES": [
        {
            "TARGET": "across",
            "FLOAT": true
        },
        {
            "TARGET": "both",
            "FLOAT": true
        },
        {}
    ]
}*/

void main() {
    if (PASSINDEX == 0) {
        gl_FragColor = 0.5 * (IMG_THIS_PIXEL(inputImage) + IMG_PIXEL(inputImage, gl_FragCoord.xy + vec2(1.0, 0.0)));
    } else if (PASSINDEX == 1) {
        gl_FragColor = 0.5 * (IMG_THIS_PIXEL(across) + IMG_PIXEL(across, gl_FragCoord.xy + vec2(0.0, 1.0)));
    } else {
        gl_FragColor = IMG_THIS_PIXEL(both);
    }
}
