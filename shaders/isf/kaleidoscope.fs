/*{
    "ISFVSN": "2",
    "CREDIT": "Vivant, Apache-2.0",
    "DESCRIPTION": "a slice of the picture, mirrored round a middle",
    "CATEGORIES": ["Geometry"],
    "INPUTS": [
        {"NAME": "inputImage", "TYPE": "image"},
        {"NAME": "sides", "TYPE": "float", "DEFAULT": 6.0, "MIN": 2.0, "MAX": 16.0, "LABEL": "mirrors"},
        {"NAME": "zoom", "TYPE": "float", "DEFAULT": 1.0, "MIN": 0.3, "MAX": 3.0, "LABEL": "how much of the slice is seen"},
        {"NAME": "speed", "TYPE": "float", "DEFAULT": 0.02, "MIN": -0.5, "MAX": 0.5, "LABEL": "turns of the slice a second"},
        {"NAME": "middle", "TYPE": "point2D", "DEFAULT": [0.5, 0.5], "MIN": [0.0, 0.0], "MAX": [1.0, 1.0], "LABEL": "where the slice is cut from"}
    ]
}*/

const float TURN = 6.28318531;

void main() {
    vec2 aspect = vec2(RENDERSIZE.x / RENDERSIZE.y, 1.0);
    vec2 from_middle = (isf_FragNormCoord - 0.5) * aspect;
    float slice = TURN / max(floor(sides + 0.5), 2.0);
    float angle = mod(atan(from_middle.y, from_middle.x), slice);
    angle = abs(angle - 0.5 * slice) + TURN * fract(TIME * speed);
    vec2 at = middle + length(from_middle) / zoom * vec2(cos(angle), sin(angle)) / aspect;
    // Mirrored at its edges too, so that no edge is smeared.
    gl_FragColor = IMG_NORM_PIXEL(inputImage, 1.0 - abs(1.0 - mod(at, 2.0)));
}
