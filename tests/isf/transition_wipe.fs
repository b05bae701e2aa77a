/*{
    "ISFVSN": "2",
    "DESCRIPTION": "one picture drawn over another",
    "INPUTS": [
        {
            "NAME": "startImage",
            "TYPE": "image"
        },
        {
            "NAME": "endImage",
            "TYPE": "image"
        },
        {
            "NAME": "progress",
            "TYPE": "float",
            "DEFAULT": 0.0,
            "MIN": 0.0,
            "MAX": 1.0
        },
        {
            "NAME": "upward",
            "TYPE": "bool",
            "DEFAULT": false
        }
    ]
}*/

void main() {
    float at = upward ? isf_FragNormCoord.y : isf_FragNormCoord.x;
    gl_FragColor = at < progress ? IMG_THIS_PIXEL(endImage) : IMG_THIS_PIXEL(startImage);
}
