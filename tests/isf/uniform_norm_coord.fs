/*{
    "ISFVSN": "2",
    "DESCRIPTION": "where a pixel is, from 0 to 1",
    "INPUTS": []
}*/

void main() {
    gl_FragColor = vec4(isf_FragNormCoord, 0.0, 1.0);
}
