/*{
    "ISFVSN": "2",
    "DESCRIPTION": "the game of life: three cells in a row turn",
    "INPUTS": [
        {
            "NAME": "again",
            "TYPE": "event"
        }
    ],
    "PASSES": [
        {
            "TARGET": "cells",
            "PERSISTENT": true
        }
    ]
}*/

void main() {
    vec2 at = gl_FragCoord.xy;
    float around = 0.0;
    for (int y = -1; y <= 1; y++) {
        for (int x = -1; x <= 1; x++) {
            vec2 to = mod(at + vec2(float(x), float(y)), RENDERSIZE);
            around += (x == 0 && y == 0) ? 0.0 : floor(IMG_PIXEL(cells, to).r + 0.5);
        }
    }
    float alive = floor(IMG_PIXEL(cells, at).r + 0.5);
    float next = around == 3.0 || (alive == 1.0 && around == 2.0) ? 1.0 : 0.0;
    if (FRAMEINDEX == 0 || again) {
        next = floor(at.y) == 8.0 && abs(floor(at.x) - 12.0) <= 1.0 ? 1.0 : 0.0;
    }
    gl_FragColor = vec4(vec3(next), 1.0);
}
