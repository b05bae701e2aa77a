/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a buffer whose size an input says",
    "INPUTS": [
        {
            "NAME": "amount",
            "TYPE": "float",
            "DEFAULT": 3.0,
            "MIN": 1.0,
            "MAX": 8.0
        }
    ],
    "PASSES": [
        {
            "TARGET": "made",
            "WIDTH": "$amount * 4",
            "HEIGHT": "max($amount, 5)"
        },
        {}
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(1.0) : vec4(IMG_SIZE(made) / 64.0, 0.0, 1.0);
}
