/*{
    "ISFVSN": "2",
    "DESCRIPTION": "motion blur",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        },
        {
            "NAME": "keep",
            "TYPE": "float",
            "DEFAULT": 0.5,
            "MIN": 0.0,
            "MAX": 1.0
        }
    ],
    "PASSES": [
        {
            "TARGET": "trail",
            "PERSISTENT": true,
            "FLOAT": true
        }
    ]
}*/

void main() {
    gl_FragColor = keep * IMG_THIS_PIXEL(trail) + (1.0 - keep) * IMG_THIS_PIXEL(inputImage);
}
