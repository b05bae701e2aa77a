/*{
    "ISFVSN": "2",
    "DESCRIPTION": "moved by whole pixels, clamped at the edges",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = IMG_PIXEL(inputImage, gl_FragCoord.xy + vec2(2.0, -1.0));
}
