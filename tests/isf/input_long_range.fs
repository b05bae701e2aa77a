/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a whole number in a range",
    "INPUTS": [
        {
            "NAME": "count",
            "TYPE": "long",
            "MIN": 0,
            "MAX": 10,
            "DEFAULT": 5
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(vec3(float(count) / 10.0), 1.0);
}
