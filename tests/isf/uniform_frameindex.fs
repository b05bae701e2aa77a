/*{
    "ISFVSN": "2",
    "DESCRIPTION": "which frame it is",
    "INPUTS": []
}*/

void main() {
    gl_FragColor = vec4(vec3(float(FRAMEINDEX) / 10.0), 1.0);
}
