/*{
    "ISFVSN": "2",
    "DESCRIPTION": "the mean colour, in a buffer of one pixel",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ],
    "PASSES": [
        {
            "TARGET": "mean",
            "WIDTH": "1",
            "HEIGHT": "1",
            "FLOAT": true
        },
        {}
    ]
}*/

void main() {
    if (PASSINDEX == 0) {
        vec4 sum = vec4(0.0);
        vec2 size = IMG_SIZE(inputImage);
        for (int y = 0; y < 16; y++) {
            for (int x = 0; x < 24; x++) {
                sum += IMG_PIXEL(inputImage, vec2(float(x), float(y)) + 0.5);
            }
        }
        gl_FragColor = sum / (size.x * size.y);
    } else {
        gl_FragColor = IMG_NORM_PIXEL(mean, vec2(0.5));
    }
}
