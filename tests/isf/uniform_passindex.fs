/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a single pass is pass 0",
    "INPUTS": []
}*/

void main() {
    gl_FragColor = vec4(PASSINDEX == 0 ? 0.75 : 0.0, 0.0, 0.0, 1.0);
}
