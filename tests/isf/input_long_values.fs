/*{
    "ISFVSN": "2",
    "DESCRIPTION": "one of several whole numbers",
    "INPUTS": [
        {
            "NAME": "mode",
            "TYPE": "long",
            "VALUES": [
                10,
                20,
                40
            ],
            "LABELS": [
                "ten",
                "twenty",
                "forty"
            ],
            "DEFAULT": 20
        }
    ]
}*/

void main() {
    gl_FragColor = vec4(0.0, float(mode) / 40.0, 0.0, 1.0);
}
