/*
{
    // what JSON has no word for
    "DESCRIPTION": "a comma // too many",
    "ISFVSN": "2.0",
    "INPUTS": [
        {"NAME": "level", "TYPE": "float", "DEFAULT": "0.5", "MIN": 0, "MAX": 1,},
    ],
}
*/

void main() {
    gl_FragColor = vec4(level, 1.0 - level, 0.0, 1.0);
}
