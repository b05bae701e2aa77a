/*{
    "ISFVSN": "2",
    "CREDIT": "Vivant, Apache-2.0",
    "DESCRIPTION": "red and blue part toward the edges, in a direction that turns slowly",
    "CATEGORIES": ["Lens"],
    "INPUTS": [
        {"NAME": "inputImage", "TYPE": "image"},
        {"NAME": "apart", "TYPE": "float", "DEFAULT": 0.012, "MIN": 0.0, "MAX": 0.06, "LABEL": "how far they part"},
        {"NAME": "edges", "TYPE": "float", "DEFAULT": 0.7, "MIN": 0.0, "MAX": 1.0, "LABEL": "how much more at the edges"},
        {"NAME": "turn", "TYPE": "float", "DEFAULT": 0.05, "MIN": 0.0, "MAX": 1.0, "LABEL": "turns a second"}
    ]
}*/

void main() {
    vec2 from_middle = 2.0 * isf_FragNormCoord - 1.0;
    float angle = 6.28318531 * fract(TIME * turn);
    float more = mix(1.0, dot(from_middle, from_middle), edges);
    vec2 way = apart * more * (vec2(cos(angle), sin(angle)) + edges * from_middle);
    vec3 c = IMG_THIS_PIXEL(inputImage).rgb;
    // In three reads a side the colours smear as light does, rather than print as three plates do.
    vec2 red_blue = 0.34 * c.rb;
    for (int i = 1; i < 3; i++) {
        float share = 0.5 * float(i);
        red_blue.x += 0.33 * IMG_NORM_PIXEL(inputImage, isf_FragNormCoord + share * way).r;
        red_blue.y += 0.33 * IMG_NORM_PIXEL(inputImage, isf_FragNormCoord - share * way).b;
    }
    gl_FragColor = vec4(red_blue.x, c.g, red_blue.y, 1.0);
}
