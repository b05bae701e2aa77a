/*{
    "ISFVSN": "2",
    "DESCRIPTION": "the time since the last frame",
    "INPUTS": []
}*/

void main() {
    gl_FragColor = vec4(vec3(TIMEDELTA * 10.0), 1.0);
}
