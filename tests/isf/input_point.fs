/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a place",
    "INPUTS": [
        {
            "NAME": "place",
            "TYPE": "point2D",
            "DEFAULT": [
                0.25,
                0.75
            ],
            "MIN": [
                0,
                0
            ],
            "MAX": [
                1,
                1
            ]
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(place, 0.0, 1.0);
}
