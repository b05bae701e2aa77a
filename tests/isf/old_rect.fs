/*{
    "ISFVSN": "2",
    "DESCRIPTION": "what older hosts declared beside a picture",
    "INPUTS": [
        {
            "NAME": "inputImage",
            "TYPE": "image"
        }
    ]
}*/

void main() {
    vec2 px = _inputImage_imgRect.zw * isf_FragNormCoord;
    gl_FragColor = vec4(px / 64.0, _inputImage_imgSize.x / 64.0, 1.0);
}
