varying vec2 right_of_it;

void main() {
    isf_vertShaderInit();
    right_of_it = isf_FragNormCoord + vec2(1.0, 0.0) / RENDERSIZE;
}
