/*{
    "ISFVSN": "2",
    "DESCRIPTION": "the time",
    "INPUTS": []
}*/

void main() {
    gl_FragColor = vec4(fract(TIME), TIME / 10.0, 0.0, 1.0);
}
