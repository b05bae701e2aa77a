/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a colour",
    "INPUTS": [
        {
            "NAME": "ink",
            "TYPE": "color",
            "DEFAULT": [
                0.2,
                0.4,
                0.6,
                1.0
            ]
        }
    ]
}*/

void main() {
    gl_FragColor = ink;
}
