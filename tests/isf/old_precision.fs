/*{
    "ISFVSN": "2",
    "DESCRIPTION": "a precision for phones",
    "INPUTS": []
}*/

#ifdef GL_ES
precision mediump float;
#endif
const float PART = 0.375;

void main() {
    gl_FragColor = vec4(PART);
}
