"""The planes a decoder paints with: names, the block of them in memory, and what each style asks for.

Planes come in 2x2 blocks, because a decoder starts at half resolution: u8 (1, H/2, W/2, CHANNELS), of which
each group takes a run of bytes in the order y, x, plane. Values are (u8 - 128) / 64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from vivant.engines.textures.store import UNIT, ZERO
from vivant.runtime.frames import F32, U8

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "canvas": ("paper", "warp_a", "warp_b", "cloud"),
    "cell": ("cell_edge", "cell_dx", "cell_dy", "cell_id"),
    "field": ("field_a", "field_b", "field_c", "field_d"),
    "hatch": ("hatch_even", "hatch_odd", "cross_even", "cross_odd"),
    "stroke": (
        "stroke_across",
        "stroke_along",
        "stroke_id",
        "stroke_hue",
        "dab_across",
        "dab_along",
        "dab_id",
        "dab_hue",
    ),
    "grain": ("dry", "strand"),
}
"""Full-resolution planes by group. What `cell` and `field` hold is the style's own choice (Recipe)."""
FORM: Final = ("cos2theta", "sin2theta", "coherence", "spare")
"""One value for each block, from the judged guide: the tangent's double angle, and how sure it is."""
OFFSETS: Final[Mapping[str, int]] = {
    "canvas": 0,
    "cell": 16,
    "field": 32,
    "hatch": 48,
    "stroke": 64,
    "grain": 96,
    "form": 104,
}
CHANNELS: Final = 112  # the last four are always zero: a block is a multiple of sixteen bytes
LAYOUT: Final = "blocks-112"
"""The name of this layout: a student made for another one is refused."""
PLANE_NAMES: Final = (*(name for names in GROUPS.values() for name in names), *FORM)
ORIENTED: Final = frozenset({"hatch", "stroke", "grain"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one style paints with. `cell` and `field` name textures; `carry` in [0, 1] is how far planes go
    along with what moves (0: they stay on the canvas)."""

    groups: frozenset[str] = field(default_factory=frozenset)
    cell: str | None = None
    field: str | None = None
    carry: float = 0.0

    @property
    def sources(self) -> Mapping[str, str]:
        """The texture behind each group that this style reads, by group; `form` is read by every style."""
        own = {"cell": self.cell, "field": self.field}
        named = {group: name for group, name in own.items() if name is not None}
        return {group: group for group in self.groups} | named


def recipe(*groups: str, cell: str | None = None, field: str | None = None, carry: float = 0.0) -> Recipe:
    """A recipe of the groups named; the canvas is part of every one."""
    return Recipe(frozenset({"canvas", *groups}), cell, field, carry)


RECIPES: Final[Mapping[str, Recipe]] = {
    "oil": recipe("stroke", "grain", carry=1.0),
    "ink": recipe("grain"),
    "watercolour": recipe("grain"),
    "stipple": recipe(cell="dots"),
    "engraving": recipe("hatch"),
    "mosaic": recipe(cell="tesserae"),
    "glass": recipe(cell="shards"),
    "coral": recipe(field="turing"),
    "marbling": recipe(field="ebru"),
    "filaments": recipe("grain", "hatch", carry=0.5),
    "riso": recipe(field="screens"),
    "woodcut": recipe("hatch", "grain"),
    "pencil": recipe("hatch", "grain"),
}
"""By style, those of the base student and those of adapters."""


def block(name: str) -> slice:
    """Where a group (or "form") lies in a block."""
    width = len(FORM) if name == "form" else 4 * len(GROUPS[name])
    return slice(OFFSETS[name], OFFSETS[name] + width)


def read(planes: U8) -> Mapping[str, F32]:
    """Plane values f32 (H, W) by name, from blocks u8 (H/2, W/2, CHANNELS) or (1, H/2, W/2, CHANNELS).

    The form planes are enlarged to full resolution linearly.
    """
    blocks = planes.reshape(planes.shape[-3:])
    rows, columns = (int(n) for n in planes.shape[-3:-1])
    values: dict[str, F32] = {}
    for group, names in GROUPS.items():
        part = blocks[..., block(group)].reshape(rows, columns, 2, 2, len(names))
        full = part.transpose(4, 0, 2, 1, 3).reshape(len(names), 2 * rows, 2 * columns)
        values |= dict(zip(names, (full.astype(np.float32) - ZERO) / UNIT, strict=True))
    form = (blocks[..., block("form")].astype(np.float32) - ZERO) / UNIT
    large = cv2.resize(form, (2 * columns, 2 * rows), interpolation=cv2.INTER_LINEAR)
    return values | {name: np.ascontiguousarray(large[..., i]) for i, name in enumerate(FORM)}
