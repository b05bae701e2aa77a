/*{
    "DESCRIPTION": "the first version's name of the function",
    "INPUTS": []
}*/

void main() {
    gl_FragColor = vec4(vv_FragNormCoord.y, 0.0, 0.0, 1.0);
}
