/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a switch",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        },
        {
            "NAME": "invert",
            "TYPE": "bool",
            "DEFAULT": true
        }
    ]
}*/

void main() {
    vec3 c = IMG_THIS_PIXEL(inputImage).rgb;
    gl_FragColor = vec4(invert ? 1.0 - c : c, 1.0);
}
