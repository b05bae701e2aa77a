/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a function named as GLSL names one",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

vec4 texture(vec2 at) {
    return IMG_NORM_PIXEL(inputImage, at);
}

void main() {
    gl_FragColor = texture(isf_FragNormCoord).gbra;
}
