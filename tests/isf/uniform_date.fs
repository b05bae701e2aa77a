/*{
    "ISFVSN": "2",
    "DESCRIPTION": "the day",
    "INPUTS": []
}*/

void main() {
    gl_FragColor = vec4(DATE.y / 12.0, DATE.z / 31.0, DATE.w / 86400.0, 1.0);
    gl_FragColor.a = DATE.x > 2000.0 ? 1.0 : 0.0;
}
