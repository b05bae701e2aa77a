/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a version of its own, and gl_FragData",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

#version 120
void main() {
    gl_FragData[0] = vec4(IMG_THIS_PIXEL(inputImage).rg, 0.5, 1.0);
}
