/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a size that is a number, and one that is a longer sum",
    "INPUTS": [],
    "PASSES": [
        {
            "TARGET": "made",
            "WIDTH": 32,
            "HEIGHT": "round(pow(2, 3) + sqrt(16.0) * (1 - -1)) % 7"
        },
        {}
    ]
}*/

void main() {
    gl_FragColor = PASSINDEX == 0 ? vec4(0.0) : vec4(IMG_SIZE(made) / 64.0, 0.0, 1.0);
}
