"""GLSL sources, one effect a file, and the one way to read them."""

from __future__ import annotations

from importlib.resources import files

VERSION = "#version 330 core\n"


def source(name: str, *defines: str) -> str:
    """The text of the shader file `name` (such as "picture.frag") with each of `defines` switched on.

    Effects that a picture does not need are left out when the shader is compiled rather than skipped
    when it runs: a software rasteriser pays for both sides of every branch.
    """
    switches = "".join(f"#define {define}\n" for define in defines)
    return VERSION + switches + files("vivant.shaders").joinpath(name).read_text(encoding="utf-8")
