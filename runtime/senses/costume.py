"""What the performer wears: colours, and how thick each limb is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

Colour = tuple[float, float, float]  # RGB in [0, 255]
Ramp = list[list[float]]  # a colour for each layer of a limb


@dataclass(frozen=True, slots=True)
class Costume:
    """The colours of one dancer."""

    skin: Colour
    hair: Colour
    top: Colour
    sleeves: Colour
    skirt: Colour
    pleat: Colour
    tights: Colour
    shoes: Colour
    ribbon: Colour


COSTUMES: Final = (
    Costume(
        skin=(240, 186, 150),
        hair=(70, 38, 30),
        top=(222, 34, 58),
        sleeves=(190, 22, 62),
        skirt=(226, 38, 56),
        pleat=(250, 120, 62),
        tights=(52, 42, 112),
        shoes=(250, 200, 70),
        ribbon=(255, 206, 60),
    ),
    Costume(
        skin=(158, 102, 70),
        hair=(30, 22, 26),
        top=(246, 180, 36),
        sleeves=(206, 84, 30),
        skirt=(248, 186, 42),
        pleat=(250, 118, 54),
        tights=(196, 48, 100),
        shoes=(60, 190, 190),
        ribbon=(64, 214, 206),
    ),
    Costume(
        skin=(220, 162, 122),
        hair=(104, 50, 24),
        top=(28, 132, 214),
        sleeves=(22, 84, 178),
        skirt=(32, 124, 218),
        pleat=(96, 206, 222),
        tights=(236, 104, 64),
        shoes=(255, 226, 120),
        ribbon=(255, 92, 128),
    ),
)


def ramp(base: Colour, shine: float) -> Ramp:
    """Rim, shadow, half-shadow, the colour itself, light, highlight: cool in the dark, warm in the light."""
    colour, cool, warm = np.array(base), np.array([110.0, 150.0, 225.0]), np.array([255.0, 242.0, 214.0])
    rows = [
        0.50 * colour + 0.22 * cool,
        0.60 * colour + 0.06 * cool,
        0.78 * colour + 0.02 * cool,
        0.95 * colour,
        colour + 0.22 * shine * (warm - colour),
        colour + 0.50 * shine * (warm - colour),
    ]
    return [row.clip(0, 255).tolist() for row in rows]


def ramps(costume: Costume) -> dict[str, Ramp]:
    """The ramp of each group of limbs."""
    skin, hair, top = ramp(costume.skin, 0.55), ramp(costume.hair, 0.35), ramp(costume.top, 0.4)
    tights, shoes = ramp(costume.tights, 0.4), ramp(costume.shoes, 0.6)
    return {
        **{f"hand_{side}": skin for side in "lr"},
        **{f"arm_{side}": ramp(costume.sleeves, 0.4) for side in "lr"},
        **{f"leg_{side}": tights for side in "lr"},
        **{f"shoe_{side}": shoes for side in "lr"},
        "neck": skin,
        "face": skin,
        "top": top,
        "belt": ramp(costume.ribbon, 0.6),
        "skull": hair,
        "bun": hair,
        "fringe": hair,
        "tail": hair,
    }


def spot_colours(costume: Costume) -> dict[str, Colour]:
    """The colours of the face."""
    red, green, blue = costume.skin
    return {
        "blush": (0.74 * red + 58, 0.74 * green + 16, 0.74 * blue + 16),
        "white": (250, 246, 240),
        "iris": (44, 30, 36),
        "hair": costume.hair,
        "nose": (0.82 * red, 0.78 * green, 0.78 * blue),
        "lips": (196, 44, 62),
    }


@dataclass(frozen=True, slots=True)
class Limb:
    """A tapered capsule between two places; radii in body heights. Limbs of one `group` melt together."""

    group: str
    start: str
    end: str
    start_r: float
    end_r: float


def _arm(side: str) -> tuple[Limb, ...]:
    group = f"arm_{side}"
    return (
        Limb(group, f"shoulder_{side}", f"elbow_{side}", 0.030, 0.024),
        Limb(group, f"elbow_{side}", f"hand_{side}", 0.024, 0.016),
        Limb(f"hand_{side}", f"hand_{side}", f"tip_{side}", 0.018, 0.009),
    )


def _leg(side: str) -> tuple[Limb, ...]:
    group = f"leg_{side}"
    return (
        Limb(group, f"hip_{side}", f"knee_{side}", 0.046, 0.034),
        Limb(group, f"knee_{side}", f"calf_{side}", 0.033, 0.034),
        Limb(group, f"calf_{side}", f"ankle_{side}", 0.034, 0.019),
        Limb(f"shoe_{side}", f"ankle_{side}", f"toe_{side}", 0.024, 0.016),
    )


LIMBS: Final = (
    *_arm("l"),
    *_arm("r"),
    *_leg("l"),
    *_leg("r"),
    Limb("neck", "chest", "throat", 0.030, 0.025),
    Limb("top", "shoulder_l", "shoulder_r", 0.029, 0.029),
    Limb("top", "belly", "rib_l", 0.047, 0.043),
    Limb("top", "belly", "rib_r", 0.047, 0.043),
    Limb("top", "rib_l", "strap_l", 0.043, 0.026),
    Limb("top", "rib_r", "strap_r", 0.043, 0.026),
    Limb("top", "rib_l", "rib_r", 0.043, 0.043),
    Limb("top", "belly", "bust", 0.045, 0.046),
    Limb("belt", "belt_l", "belt_r", 0.017, 0.017),
    Limb("skull", "crown", "nape", 0.062, 0.057),
    Limb("face", "brow", "chin", 0.051, 0.027),
    Limb("bun", "bun", "bun", 0.026, 0.026),
    Limb("fringe", "temple_l", "parting", 0.010, 0.012),
    Limb("fringe", "parting", "temple_r", 0.012, 0.010),
    Limb("tail", "tail_0", "tail_1", 0.020, 0.028),
    Limb("tail", "tail_1", "tail_2", 0.028, 0.024),
    Limb("tail", "tail_2", "tail_3", 0.024, 0.006),
)

HEAD_R: Final = 0.061
HEAD_PLACES: Final = {
    # in radii from the middle of the head: x right, y up, z out of the face
    "crown": (0.0, 0.22, -0.14),
    "nape": (0.0, 0.05, -0.30),
    "brow": (0.0, 0.12, 0.14),
    "chin": (0.0, -0.64, 0.34),
    "bun": (0.0, 0.60, -0.95),
    "temple_l": (-0.62, 0.60, 0.46),
    "parting": (-0.05, 0.86, 0.56),
    "temple_r": (0.62, 0.60, 0.46),
}
SPOTS: Final = (
    # place on the head, half width and half height in radii, colour
    ((-0.48, -0.22, 0.82), (0.20, 0.14), "blush"),
    ((0.48, -0.22, 0.82), (0.20, 0.14), "blush"),
    ((-0.34, 0.10, 0.92), (0.15, 0.09), "white"),
    ((0.34, 0.10, 0.92), (0.15, 0.09), "white"),
    ((-0.33, 0.09, 0.94), (0.085, 0.10), "iris"),
    ((0.33, 0.09, 0.94), (0.085, 0.10), "iris"),
    ((-0.35, 0.31, 0.90), (0.18, 0.045), "hair"),
    ((0.35, 0.31, 0.90), (0.18, 0.045), "hair"),
    ((0.05, -0.14, 1.02), (0.07, 0.16), "nose"),
    ((0.0, -0.50, 0.90), (0.19, 0.07), "lips"),
)
