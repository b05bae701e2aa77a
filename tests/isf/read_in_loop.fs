/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a blur of three pixels",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    vec4 sum = vec4(0.0);
    for (int x = -1; x <= 1; x++) {
        sum += IMG_PIXEL(inputImage, gl_FragCoord.xy + vec2(float(x), 0.0));
    }
    gl_FragColor = sum / 3.0;
}
