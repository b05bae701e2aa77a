"""The look of the shown picture, read from the parameter tree."""

from __future__ import annotations

from collections.abc import Mapping

from vivant.runtime.canvas import Look
from vivant.runtime.frames import Value


def look_of(values: Mapping[str, Value]) -> Look:
    """The Look that the parameters `/vivant/look/*` and `/vivant/present/*` ask for."""
    return Look(
        exposure=float(values["/vivant/look/exposure"]),
        contrast=float(values["/vivant/look/contrast"]),
        saturation=float(values["/vivant/look/saturation"]),
        temperature=float(values["/vivant/look/temperature"]),
        grain=float(values["/vivant/look/grain"]),
        vignette=float(values["/vivant/look/vignette"]),
        aspect="fit" if values["/vivant/present/aspect"] == "fit" else "fill",
        mirror=bool(values["/vivant/present/mirror"]),
    )
