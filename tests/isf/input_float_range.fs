/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a number in a range of its own",
    "INPUTS": [
        {
            "NAME": "level",
            "TYPE": "float",
            "DEFAULT": 1.0,
            "MIN": -2.0,
            "MAX": 2.0
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(vec3((level + 2.0) / 4.0), 1.0);
}
