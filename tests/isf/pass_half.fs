/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a buffer of half the size",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ],
    "PASSES": [
        {
            "TARGET": "small",
            "WIDTH": "floor($WIDTH/2.0)",
            "HEIGHT": "floor($HEIGHT/2.0)"
        },
        {}
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(RENDERSIZE / 64.0, 0.0, 1.0) : vec4(IMG_THIS_PIXEL(small).rg, IMG_SIZE(small).x / 64.0, 1.0);
}
