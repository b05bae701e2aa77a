varying float of_pass;

void main() {
    isf_vertShaderInit();
    of_pass = PASSINDEX == 0 ? 0.25 : 0.75;
}
