/*{
    "ISFVSN": "2",
    "DESCRIPTION": "the last pass is kept in a buffer too",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ],
    "PASSES": [
        {
            "TARGET": "kept"
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(IMG_THIS_PIXEL(inputImage).rgb * 0.25 + 0.25, 1.0);
}
