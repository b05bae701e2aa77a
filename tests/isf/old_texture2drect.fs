/*{
    "ISFVSN": "2",
    "DESCRIPTION": "texture2DRect, in pixels",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    gl_FragColor = texture2DRect(inputImage, RENDERSIZE - gl_FragCoord.xy);
}
