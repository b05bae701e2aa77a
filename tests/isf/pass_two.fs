/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a buffer between two passes",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ],
    "PASSES": [
        {
            "TARGET": "inverted"
        },
        {}
    ]
}*/

void main() {
    if (PASSINDEX == 0) {
        gl_FragColor = vec4(1.0 - IMG_THIS_PIXEL(inputImage).rgb, 1.0);
    } else {
        gl_FragColor = vec4(IMG_THIS_PIXEL(inverted).rgb * vec3(1.0, 0.5, 1.0), 1.0);
    }
}
