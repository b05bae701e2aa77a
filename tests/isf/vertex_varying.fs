/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a place worked out at the corners",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

varying vec2 right_of_it;

void main() {
    gl_FragColor = IMG_NORM_PIXEL(inputImage, right_of_it);
}
