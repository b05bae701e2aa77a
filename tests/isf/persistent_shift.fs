/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a picture that wanders to the right",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ],
    "PASSES": [
        {
            "TARGET": "trail",
            "PERSISTENT": 1
        }
    ]
}*/

void main() {
    gl_FragColor = FRAMEINDEX == 0 ? IMG_THIS_PIXEL(inputImage) : IMG_PIXEL(trail, gl_FragCoord.xy - vec2(1.0, 0.0));
}
