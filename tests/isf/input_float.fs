/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a number",
    "INPUTS": [
        {
            "NAME": "level",
            "TYPE": "float",
            "DEFAULT": 0.25,
            "MIN": 0.0,
            "MAX": 1.0
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(level, 0.0, 0.0, 1.0);
}
