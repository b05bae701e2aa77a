"""Drawn people: solid, lit, with faces that look somewhere; from a portrait to a figure far away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from vivant.distill import colours
from vivant.distill.body import HAIRCUT_SHARES, HAIRCUTS, Body, Head, Part, body
from vivant.distill.colours import Colour
from vivant.distill.face import Features, features, painted_face
from vivant.distill.solids import Seen, look, melted
from vivant.runtime.frames import F32

NEAR, FAR = 2.6, -2.4
TRACED_PX: Final = 115  # a person is traced at most so high, and enlarged
COVERED: Final = ("scarf", "cap")  # cloth, not hair
FOLDS: Final = 0.17
MELT: Final = 0.11


@dataclass(frozen=True, slots=True)
class Light:
    """The key light's direction and colours in linear light, f32 (3,)."""

    key: F32
    key_colour: F32
    sky_colour: F32
    rim: float


@dataclass(frozen=True, slots=True)
class Person:
    """Shape, face and dress; `cloth` by part."""

    head: Head
    features: Features
    body: Body
    skin: Colour
    hair: Colour
    cover: Colour | None
    cloth: dict[Part, Colour]
    stripes: float

    def distance(self, p: F32, bottom: float) -> F32:
        """Distances (n,) of points (n, 3), without what lies below `bottom`."""
        each = self.body.above(bottom).distances(p)
        least = each.min(1, keepdims=True)
        trunk = least[:, 0] - MELT * np.log(np.exp((least - each) / MELT).sum(1))
        return melted(np.asarray(trunk, dtype=np.float32), self.head.distance(p), 0.08)


def light(rng: np.random.Generator) -> Light:
    """Mostly from above and one side; sometimes from behind, or hardly directed."""
    chance = rng.random()
    side = rng.uniform(-1.3, 1.3)
    up = rng.uniform(0.0, 0.9)
    if chance < 0.12:
        side = math.pi - side * 0.6
    key = np.array([math.sin(side) * math.cos(up), math.sin(up), math.cos(side) * math.cos(up)], np.float32)
    strong = rng.uniform(0.8, 1.9)
    warm = np.array(colours.hsv(rng.normal(0.09, 0.04), rng.uniform(0.0, 0.4), 1.0), np.float32)
    cool = np.array(colours.hsv(rng.normal(0.6, 0.1), rng.uniform(0.05, 0.5), 1.0), np.float32)
    if rng.random() < 0.12:
        warm = np.array(colours.hsv(rng.random(), rng.uniform(0.4, 0.8), 1.0), np.float32)
    return Light(key, strong * warm, rng.uniform(0.15, 0.55) * cool, rng.uniform(0.0, 0.6))


def person(rng: np.random.Generator, towards: float = 0.5, walking: bool = False) -> Person:
    """Somebody, by `rng` alone; `towards` in [0, 1] is how likely the face is turned to the viewer."""
    facing = rng.random() < towards
    yaw = rng.normal(0, 0.35) if facing else rng.uniform(-math.pi, math.pi)
    bare, skirt = rng.random() < 0.3, rng.random() < 0.3
    first = rng.random()
    top = colours.hsv(first, rng.beta(1.4, 1.6), rng.beta(1.7, 1.4))
    legs = colours.hsv(first + rng.choice([0.0, 0.5, 0.1]), rng.beta(1.2, 2.2), rng.beta(1.4, 2.0))
    skin = colours.skin(rng)
    haircut = str(rng.choice(HAIRCUTS, p=HAIRCUT_SHARES))
    head = Head(
        yaw=yaw + rng.normal(0, 0.3),
        pitch=rng.normal(0.03, 0.14),
        roll=rng.normal(0, 0.10),
        haircut=haircut,
        jaw=rng.uniform(0.90, 1.10),
        nose=rng.uniform(0.82, 1.18),
        lips=rng.uniform(0.8, 1.3),
    )
    return Person(
        head=head,
        features=features(rng, bearded=haircut not in ("long", "scarf", "bun")),
        body=body(rng, yaw, walking, bare, skirt),
        skin=skin,
        hair=colours.hair(rng),
        cover=colours.dyed(rng) if haircut in COVERED else None,
        cloth={
            "top": top,
            "legs": legs,
            "skin": skin,
            "shoes": colours.hsv(first, 0.3, rng.uniform(0.05, 0.5)),
        },
        stripes=rng.uniform(2.0, 5.0) if rng.random() < 0.2 else 0.0,
    )


def draw(image: F32, who: Person, x_px: float, y_px: float, unit_px: float, lit: Light) -> None:
    """Draw somebody into `image` f32 (H, W, 3) sRGB: the head's middle at (x, y), half a head `unit_px`."""
    height, width = image.shape[:2]
    left, right = max(0, int(x_px - 4.6 * unit_px)), min(width, int(x_px + 4.6 * unit_px))
    top, bottom = max(0, int(y_px - 5.2 * unit_px)), min(height, int(y_px + 14.8 * unit_px))
    if right - left < 4 or bottom - top < 4:
        return
    box = (
        (left - x_px) / unit_px,
        (y_px - bottom) / unit_px,
        (right - x_px) / unit_px,
        (y_px - top) / unit_px,
    )
    coarse = max(1, round(max(bottom - top, right - left) / TRACED_PX))
    size = (right - left, bottom - top)
    seen = look(lambda p: who.distance(p, box[1]), box, NEAR, FAR, size, lit.key, coarse)
    patch = image[top:bottom, left:right]
    patch += seen.cover[..., None] * (_shaded(who, seen, lit, box[1]) - patch)


def _shaded(who: Person, seen: Seen, lit: Light, bottom: float) -> F32:
    """The person's colours on the window, sRGB f32 (H, W, 3)."""
    shape = seen.cover.shape
    there = np.flatnonzero(seen.cover > 0)
    out = np.zeros((seen.cover.size, 3), np.float32)
    p, n = seen.points.reshape(-1, 3)[there], seen.normals.reshape(-1, 3)[there]
    albedo, gloss, tender = _material(who, p, bottom)
    n = _folded(n, p, _step(-1.35 - p[:, 1], 0.3) * (1 - tender))
    shadow, hollow = seen.shadow.ravel()[there, None], seen.hollow.ravel()[there, None]
    facing = (n @ lit.key)[:, None]
    wrapped = np.clip((facing + tender * np.array([0.32, 0.14, 0.08])) / (1 + 0.3 * tender), 0, None)
    sky = (0.55 + 0.45 * n[:, 1:2]) * hollow
    half = lit.key + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half) + 1e-6
    shine = gloss * np.clip(n @ half, 0, 1)[:, None] ** 22 * shadow * np.clip(facing * 4, 0, 1)
    rim = lit.rim * np.clip(1 - n[:, 2:3], 0, 1) ** 3 * (0.4 + 0.6 * hollow)
    linear = albedo**2.2 * (wrapped * shadow * lit.key_colour + sky * lit.sky_colour + 0.05)
    linear += (shine * lit.key_colour + 0.35 * rim * lit.sky_colour) * 0.5
    linear = linear / (1 + 0.18 * linear)  # highlights are held back
    out[there] = np.clip(linear, 0, 1) ** (1 / 2.2)
    return out.reshape(*shape, 3)


def _material(who: Person, p: F32, bottom: float) -> tuple[F32, F32, F32]:
    """Albedo (n, 3) sRGB, gloss (n, 1), and how much light wanders in it as in skin (n, 1)."""
    limbs = who.body.above(bottom)
    each = limbs.distances(p)
    share = np.exp((each.min(1, keepdims=True) - each) / 0.02)
    share /= share.sum(1, keepdims=True)
    cloth = np.array([who.cloth[part] for part in limbs.parts], np.float32)
    colour = share @ cloth
    flesh = share @ np.array([[float(part == "skin")] for part in limbs.parts], np.float32)
    if who.stripes:
        colour *= 1 - 0.45 * (1 - flesh) * (np.sin(p[:, 1:2] * who.stripes * 2) > 0)
    q = who.head.own(p)
    head, hair = who.head.skin(q), who.head.hair(q)
    on_head = _step(each.min(1) - head, 0.10)
    face = painted_face(who.features, q, who.skin, who.hair)
    colour = colour + on_head * (face - colour)
    tender = flesh + on_head * (1 - flesh)
    on_hair = _step(np.minimum(head, each.min(1)) - hair, 0.03)
    colour = colour + on_hair * (np.array(who.cover or who.hair, np.float32) * _strands(who, q) - colour)
    tender = tender * (1 - on_hair)
    gloss = 0.06 + 0.16 * tender + 0.22 * on_hair
    return np.clip(colour, 0.01, 1), gloss, tender


def _strands(who: Person, q: F32) -> F32:
    """Hair in locks (n, 1); cloth has none."""
    if who.cover:
        return np.ones((len(q), 1), np.float32)
    around = np.arctan2(q[:, 0], q[:, 2]) + 0.15 * np.sin(3 * q[:, 1] + 2 * q[:, 0])
    locks = np.sin(9 * around + 2 * np.sin(5 * q[:, 1])) + np.sin(23 * around + 1) + 0.7 * np.sin(47 * around)
    return np.asarray(1.0 + 0.11 * locks[:, None], dtype=np.float32)


def _folded(n: F32, p: F32, cloth: F32) -> F32:
    """Normals of cloth in folds; `cloth` (n, 1) says where there is any."""
    x, y = p[:, 0], p[:, 1]
    fold = np.stack(
        [np.cos(2.2 * y + 2.6 * x + 1.5 * np.sin(1.7 * y)), np.sin(3.1 * y - 1.7 * x + np.sin(2.3 * x))], -1
    )
    bent = n.copy()
    bent[:, :2] += FOLDS * cloth * fold.astype(np.float32)
    return np.asarray(bent / np.linalg.norm(bent, axis=-1, keepdims=True), dtype=np.float32)


def _step(x: F32, soft: float) -> F32:
    return np.asarray(np.clip(0.5 + x / soft, 0, 1)[:, None], dtype=np.float32)


def portrait(rng: np.random.Generator, size_px: int, ground: F32 | None = None) -> F32:
    """A head, or head and shoulders, or half a figure, before `ground` f32 (S, S, 3) or a soft wash."""
    image = _wash(rng, size_px) if ground is None else ground.copy()
    unit = size_px * math.exp(rng.uniform(math.log(0.12), math.log(0.42)))
    x = size_px * rng.uniform(0.36, 0.64)
    y = size_px * rng.uniform(0.42, 0.50) if unit > 0.25 * size_px else size_px * rng.uniform(0.22, 0.42)
    draw(image, person(rng, towards=0.92), x, y, unit, light(rng))
    return np.asarray(np.clip(image, 0, 1), dtype=np.float32)


def _wash(rng: np.random.Generator, size_px: int) -> F32:
    """A studio's wall: one colour, lighter behind the sitter."""
    a, b = (np.array(colours.dyed(rng), np.float32) for _ in range(2))
    v, u = np.mgrid[0 : 1 : size_px * 1j, 0 : 1 : size_px * 1j].astype(np.float32)
    x, y = rng.uniform(0.2, 0.8, 2)
    glow = np.exp(-((u - x) ** 2 + (v - y) ** 2) / rng.uniform(0.15, 0.8))[..., None]
    return np.asarray(a * 0.6 + glow * (0.35 * a + 0.3 * b), dtype=np.float32)
