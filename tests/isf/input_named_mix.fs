/*{
    "ISFVSN": "2",
    "DESCRIPTION": "an input called as a function is",
    "INPUTS": [
        {
            "NAME": "mix",
            "TYPE": "float",
            "DEFAULT": 0.5,
            "MIN": 0.0,
            "MAX": 1.0
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(mix, mix, mix, 1.0);
}
