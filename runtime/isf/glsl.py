"""An ISF file's GLSL as OpenGL 3.3 takes it: what ISF declares by itself, and the words of older GLSL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from vivant.runtime.isf.header import Shader
from vivant.shaders import VERSION

FILE, BESIDE = 100_000, 200_000
"""What is added to the lines of the .fs and the .vs, so that a driver's report says which it means. (GLSL has
numbers of sources for that, but Mesa forgets them within expressions.)"""
BEFORE, MIX_UNIFORM = "isf_before_", "isf_mix_"
CORNER: Final = "isf_corner_"
OLD_OUTPUT: Final = re.compile(r"\bgl_FragColor\b|\bgl_FragData\s*\[\s*0\s*\]")
OWN_VERSION: Final = re.compile(r"^[ \t]*#[ \t]*(version|extension)\b[^\n]*", re.MULTILINE)
DISCARDS: Final = re.compile(r"\bdiscard\b")
LIVING: Final = re.compile(r"\b(TIME|TIMEDELTA|DATE|FRAMEINDEX)\b")
STANDARD: Final = """
uniform vec2 RENDERSIZE;
uniform float TIME;
uniform float TIMEDELTA;
uniform vec4 DATE;
uniform int FRAMEINDEX;
vec4 isf_read_(sampler2D image, vec2 at) {
    return texture(image, at);
}
#define IMG_SIZE(image) vec2(textureSize(image, 0))
#define IMG_NORM_PIXEL(image, at) isf_read_(image, (at))
#define IMG_PIXEL(image, px) isf_read_(image, (px) / IMG_SIZE(image))
#define IMG_THIS_PIXEL(image) isf_read_(image, isf_FragNormCoord)
#define IMG_THIS_NORM_PIXEL(image) isf_read_(image, isf_FragNormCoord)
#define IMG_NORM_THIS_PIXEL(image) isf_read_(image, isf_FragNormCoord)
#define vv_FragNormCoord isf_FragNormCoord
#define texture2D texture
#define texture2DLod textureLod
#define texture2DLodEXT textureLod
#define texture2DGrad textureGrad
#define texture2DProj textureProj
#define sampler2DRect sampler2D
#define texture2DRect(image, px) texture(image, (px) / IMG_SIZE(image))
"""
LAID: Final = f"""uniform sampler2D {BEFORE};
uniform float {MIX_UNIFORM};
// A number that is none would stay in a buffer for the rest of the show, and spread.
vec4 isf_finite_(vec4 x) {{
    return mix(x, vec4(0.0), bvec4(uvec4(isnan(x)) | uvec4(isinf(x))));
}}
vec4 isf_laid_(vec4 drawn, vec2 at, float veil) {{
    vec4 over = clamp(isf_finite_(drawn), 0.0, 1.0);
    vec3 under = texture({BEFORE}, at).rgb;
    return vec4(mix(under, over.rgb * over.a + veil * (1.0 - over.a) * under, {MIX_UNIFORM}), 1.0);
}}
"""
ENDS_IN_BUFFER: Final = """
#undef main
void main() {
    isf_drawn_ = vec4(0.0, 0.0, 0.0, 1.0);
    isf_main_();
    isf_drawn_ = isf_finite_(isf_drawn_);
}
"""
ENDS_ON_PICTURE: Final = """
#undef main
void main() {
    isf_drawn_ = vec4(0.0, 0.0, 0.0, 1.0);
    isf_main_();
    isf_drawn_ = isf_laid_(isf_drawn_, gl_FragCoord.xy / RENDERSIZE, %.1f);
}
"""
PLAIN_VERTEX: Final = (
    VERSION
    + f"""in vec2 {CORNER};
out vec2 isf_FragNormCoord;
void main() {{
    isf_FragNormCoord = {CORNER};
    gl_Position = vec4({CORNER} * 2.0 - 1.0, 0.0, 1.0);
}}
"""
)
VERTEX_BEGINS: Final = f"""in vec2 {CORNER};
out vec2 isf_FragNormCoord;
#define attribute in
#define varying out
#define gl_Vertex vec4({CORNER} * 2.0 - 1.0, 0.0, 1.0)
#define vv_vertShaderInit isf_vertShaderInit
void isf_vertShaderInit() {{
    isf_FragNormCoord = {CORNER};
    gl_Position = gl_Vertex;
}}
vec4 ftransform() {{
    return gl_Vertex;
}}
"""
COMPOSE: Final = (
    VERSION
    + LAID
    + """uniform sampler2D isf_drawing_;
uniform float isf_veil_;
in vec2 isf_FragNormCoord;
out vec4 colour;
void main() {
    colour = isf_laid_(texture(isf_drawing_, isf_FragNormCoord), isf_FragNormCoord, isf_veil_);
}
"""
)
"""Lays what was drawn elsewhere over what was there before."""


def draws_in_place(shader: Shader) -> bool:
    """Whether the last pass itself may mix what it draws with what was there: not where it leaves pixels out,
    or is kept in a buffer."""
    leaves_out = shader.vertex is not None or DISCARDS.search(shader.fragment)
    return shader.header.passes[-1].target is None and not leaves_out


def veil(shader: Shader) -> float:
    """How much of what was there before is seen where the shader draws nothing: a source is laid over it, a
    filter takes its place, with black behind."""
    return float(shader.header.kind == "source")


def lives(shader: Shader) -> bool:
    """Whether it may draw another picture though nothing that it is given changed."""
    changing = any(one.persistent for one in shader.header.passes)
    heard = any(one.type in ("audio", "audioFFT") for one in shader.header.inputs)
    code = shader.fragment + (shader.vertex or "")
    return changing or heard or LIVING.search(code) is not None


def fragment_source(shader: Shader, index: int, in_place: bool) -> str:
    """The fragment shader of the pass `index`. PASSINDEX is a constant in each, so that no pass pays for what
    the others do; `in_place` mixes its picture with what was there before."""
    begins = (
        VERSION,
        LAID,  # before the inputs, one of which may be called as a function is
        *_declarations(shader, index),
        "in vec2 isf_FragNormCoord;\nout vec4 isf_drawn_;\n",
        "#define varying in\n#define main isf_main_\n",
        f"#line {FILE + shader.header.line}\n",
    )
    code = OLD_OUTPUT.sub("isf_drawn_", OWN_VERSION.sub("", shader.fragment))
    ends = ENDS_ON_PICTURE % veil(shader) if in_place else ENDS_IN_BUFFER
    return "".join(begins) + code + "\n#line 1" + ends


def vertex_source(shader: Shader, index: int) -> str:
    """The vertex shader of the pass `index`: the user's, or one that covers everything."""
    if shader.vertex is None:
        return PLAIN_VERTEX
    code = OWN_VERSION.sub("", shader.vertex)
    begins = (VERSION, *_declarations(shader, index), VERTEX_BEGINS, f"#line {BESIDE + 1}\n")
    return "".join(begins) + code


def _declarations(shader: Shader, index: int) -> Iterator[str]:
    header = shader.header
    yield STANDARD
    yield f"const int PASSINDEX = {index};\n"
    for one in header.inputs:
        yield f"uniform {one.glsl} {one.name};\n"
    for name in (*header.images, *header.buffers):
        yield f"uniform sampler2D {name};\n"
    for name in (*(i.name for i in header.inputs if i.is_texture), *header.images, *header.buffers):
        yield f"#define _{name}_imgSize IMG_SIZE({name})\n"
        yield f"#define _{name}_imgRect vec4(0.0, 0.0, IMG_SIZE({name}))\n"
        yield f"#define _{name}_flip false\n"


DRIVER_LINE: Final = (
    re.compile(r"^\d+:(?P<line>\d+)\(\d+\): (?P<word>error|warning): (?P<what>.*)$"),  # Mesa
    re.compile(r"^\d+\((?P<line>\d+)\) : (?P<word>error|warning) \w+: (?P<what>.*)$"),  # NVIDIA
    re.compile(r"^(?P<word>ERROR|WARNING): \d+:(?P<line>\d+): (?P<what>.*)$"),  # macOS, AMD, Intel
)


def complaints(shader: Shader, message: str) -> list[str]:
    """What a driver says against a shader, each as `file:line: error`, its warnings left out; the driver's
    own words where they are in no known form."""
    found = []
    for text in map(str.strip, message.splitlines()):
        known = next((match for form in DRIVER_LINE if (match := form.match(text))), None)
        if known is None or known["word"].lower() == "warning":
            continue
        line, what = int(known["line"]), known["what"].removesuffix("; candidates are:")
        if what.startswith(" "):  # a candidate: what the driver has instead
            continue
        if line > BESIDE:
            found.append(f"{shader.path.with_suffix('.vs')}:{line - BESIDE}: {what}")
        elif line > FILE:
            found.append(f"{shader.path}:{line - FILE}: {what}")
        else:
            found.append(f"{shader.path}: in what ISF declares by itself: {what}")
    return list(dict.fromkeys(found)) or [f"{shader.path}: {' '.join(message.split())[:300]}"]
