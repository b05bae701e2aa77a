/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a source that is laid over the picture",
    "INPUTS": []
}*/

void main() {
    gl_FragColor = isf_FragNormCoord.x < 0.5 ? vec4(1.0, 0.0, 0.0, 0.5) : vec4(0.0);
}
