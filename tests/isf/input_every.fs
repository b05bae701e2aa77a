/*{
    "ISFVSN": "2",
    "DESCRIPTION": "every type of input at once",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        },
        {
            "NAME": "a",
            "TYPE": "float",
            "DEFAULT": 0.5,
            "MIN": 0.0,
            "MAX": 1.0
        },
        {
            "NAME": "b",
            "TYPE": "bool",
            "DEFAULT": 1
        },
        {
            "NAME": "c",
            "TYPE": "long",
            "VALUES": [
                0,
                1
            ],
            "LABELS": [
                "no",
                "yes"
            ],
            "DEFAULT": 1
        },
        {
            "NAME": "d",
            "TYPE": "point2D",
            "DEFAULT": [
                0.5,
                0.5
            ]
        },
        {
            "NAME": "e",
            "TYPE": "color",
            "DEFAULT": [
                0,
                0.5,
                1,
                1
            ]
        },
        {
            "NAME": "f",
            "TYPE": "event"
        },
        {
            "NAME": "g",
            "TYPE": "audio"
        },
        {
            "NAME": "h",
            "TYPE": "audioFFT"
        }
    ]
}*/

void main() {
    float all = a * (b ? 1.0 : 0.0) * float(c) * d.x * e.b * (f ? 0.0 : 1.0) * IMG_NORM_PIXEL(g, d).r;
    gl_FragColor = vec4(all + IMG_NORM_PIXEL(h, d).r, IMG_THIS_PIXEL(inputImage).gb, 1.0);
}
