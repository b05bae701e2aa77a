"""Forbidden pictures that a guard is tried with, a symbol and lettering; and harmless ones that come near:
fences, windows, keyboards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from vivant.guardrails.pictures import laid
from vivant.runtime.frames import U8

CUTOUT_PX: Final = 320
CAP_PX: Final = 64.0  # height of a capital in a cut-out
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&!?"
WORDS: Final = ("SALE", "EXIT", "VOTE", "Brand", "lorem", "ENTRY", "2026", "open", "WIN", "Cola", "Free")
SMALLEST_CAP: Final = 1 / 16  # of the picture's side: what is called text here
LEAST_CONTRAST: Final = 0.3  # of luma in [0, 1], between letters and what they lie on
FONT_FOLDERS: Final = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
HERSHEY: Final = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Lettering:
    """A cut-out u8 (h, w, 3) with its alpha; where its letters are, u8 (h, w); the height of its capitals in
    pixels."""

    pixels: U8
    alpha: U8
    mask: U8
    cap_px: float


def emblem() -> tuple[U8, U8]:
    """A symbol that no room has, with its alpha: a hooked three-armed figure in a ring, red, black, white."""
    size = CUTOUT_PX * 2
    middle = (size // 2, size // 2)
    pixels = np.full((size, size, 3), 245, np.uint8)
    alpha = np.zeros((size, size), np.uint8)
    cv2.circle(alpha, middle, int(size * 0.48), 255, -1, cv2.LINE_AA)
    cv2.circle(pixels, middle, int(size * 0.44), (190, 20, 25), int(size * 0.08), cv2.LINE_AA)
    for arm in range(3):
        angle = arm * 2 * math.pi / 3
        tip = _from(middle, angle, size * 0.27)
        hook = _from(tip, angle + math.pi / 2, size * 0.17)
        cv2.line(pixels, middle, tip, (15, 15, 15), int(size * 0.075), cv2.LINE_AA)
        cv2.line(pixels, tip, hook, (15, 15, 15), int(size * 0.075), cv2.LINE_AA)
    half = (CUTOUT_PX, CUTOUT_PX)
    small, cover = (cv2.resize(x, half, interpolation=cv2.INTER_AREA) for x in (pixels, alpha))
    return small, cover


def lettering(rng: np.random.Generator, new: bool = False, most: int = 7) -> Lettering:
    """One to three short lines, of at most so many letters, in one font, bare or on a plate, seen from in
    front or a little from the side. Those that are `new` are in fonts that the others are never in."""
    lines = [word(rng, most) for _ in range(int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2])))]
    mask = written(lines, rng, new)
    dark, light = rng.integers(0, 70, 3), rng.integers(185, 256, 3)
    ink, ground = (dark, light) if rng.uniform() < 0.5 else (light, dark)
    if rng.uniform() < 0.4:
        edge = int(rng.integers(6, 30))
        mask = np.pad(mask, edge)
        alpha = np.full(mask.shape, 255, np.uint8)
    elif rng.uniform() < 0.4:  # an outline, as on signs
        mask = np.pad(mask, 8)
        alpha = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    else:
        alpha = mask
    share = mask[..., None].astype(np.float32) / 255
    pixels = (ground + share * (ink.astype(np.float32) - ground)).astype(np.uint8)
    return Lettering(*_leant((pixels, np.pad(alpha[1:-1, 1:-1], 1), mask), rng), CAP_PX)


def word(rng: np.random.Generator, most: int) -> str:
    """Letters by chance, or a word that has a meaning."""
    if rng.uniform() < 0.3:
        return WORDS[int(rng.integers(len(WORDS)))][:most]
    letters = [LETTERS[int(rng.integers(len(LETTERS)))] for _ in range(int(rng.integers(3, most + 1)))]
    found = "".join(letters)
    return found.upper() if rng.uniform() < 0.4 else found


def written(lines: list[str], rng: np.random.Generator, new: bool = False) -> U8:
    """A mask u8 of the lines in a font by chance, capitals CAP_PX high."""
    fonts = outlines()
    drawn = len(fonts) > 1 and rng.uniform() < 0.8
    if not drawn:
        return _hershey(lines, HERSHEY[-1 if new else int(rng.integers(len(HERSHEY) - 1))], rng)
    kept_apart = fonts[::4]
    others = [font for font in fonts if font not in kept_apart]
    own = kept_apart if new else others
    return _outlined(lines, own[int(rng.integers(len(own)))], float(rng.uniform(1.25, 1.8)))


@cache
def outlines() -> tuple[Path, ...]:
    """The outline fonts of this machine that have Latin letters, by name."""
    found = [path for folder in FONT_FOLDERS for path in Path(folder).rglob("*.ttf")]
    return tuple(sorted(path for path in found if "Math" not in path.name and "Symbol" not in path.name))


@cache
def _font(path: Path) -> Any:  # PIL's fonts have no types here
    from PIL import ImageFont

    trial = ImageFont.truetype(str(path), 100)
    _left, top, _right, bottom = trial.getbbox("H")
    return ImageFont.truetype(str(path), round(100 * CAP_PX / max(bottom - top, 1)))


def _outlined(lines: list[str], path: Path, spacing: float) -> U8:
    from PIL import Image, ImageDraw

    font = _font(path)
    boxes = [font.getbbox(line) for line in lines]
    width = max(int(box[2]) for box in boxes) + 12
    step = CAP_PX * spacing
    height = int(CAP_PX * 1.5 + step * (len(lines) - 1)) + 12
    page = Image.new("L", (width, height))
    pen = ImageDraw.Draw(page)
    top = font.getbbox("H")[1]
    for index, line in enumerate(lines):
        pen.text((6, 6 + index * step - top), line, 255, font)
    return _trimmed(np.asarray(page, np.uint8))


def _hershey(lines: list[str], font: int, rng: np.random.Generator) -> U8:
    width, scale = int(rng.integers(5, 12)), CAP_PX / 21.0
    sizes = [cv2.getTextSize(line, font, scale, width)[0] for line in lines]
    step = int(CAP_PX * 1.6)
    page = np.zeros((step * len(lines) + 60, max(size[0] for size in sizes) + 40), np.uint8)
    for index, line in enumerate(lines):
        cv2.putText(page, line, (20, step * (index + 1)), font, scale, 255, width, cv2.LINE_AA)
    return _trimmed(page)


def _trimmed(mask: U8) -> U8:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else mask
    return np.pad(cut, 3)


def _leant(pages: tuple[U8, U8, U8], rng: np.random.Generator) -> tuple[U8, U8, U8]:
    """Seen a little from the side: the corners move inward by up to a ninth."""
    height, width = pages[1].shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    inward = np.sign(np.array((width, height)) / 2 - corners) * rng.uniform(0, 0.11, (4, 2)) * (width, height)
    warp = cv2.getPerspectiveTransform(corners, (corners + inward).astype(np.float32))
    one, two, three = (
        np.asarray(cv2.warpPerspective(page, warp, (width, height)), np.uint8) for page in pages
    )
    return one, two, three


def placed(frame: U8, letters: Lettering, cap: float, rng: np.random.Generator) -> tuple[U8, float]:
    """`letters` on a frame with capitals of `cap` of its side, at any place and angle, wholly inside; and
    their contrast: how far their luma is from that of what lies around them. Raises ValueError when they do
    not fit."""
    height, width = frame.shape[:2]
    scale = cap * min(height, width) / letters.cap_px
    reach = scale * math.hypot(*letters.alpha.shape) / 2
    if 2 * reach > 0.99 * min(height, width):
        raise ValueError("these letters do not fit into the picture at this size")
    centre = (float(rng.uniform(reach, width - reach)), float(rng.uniform(reach, height - reach)))
    where = (scale, float(rng.uniform(0, 360)), centre)
    found = laid(frame, letters.pixels, letters.alpha, *where)
    white = np.full_like(letters.pixels, 255)
    mask = laid(np.zeros_like(frame), white, letters.mask, *where)[..., 0]
    return found, _contrast(found, mask, cap * min(height, width))


def _contrast(frame: U8, mask: U8, cap_px: float) -> float:
    luma = frame.astype(np.float32) @ LUMA / 255
    reach = max(3, round(cap_px / 2) | 1)
    around = cv2.dilate(mask, np.ones((reach, reach), np.uint8)) > 0
    around &= mask < 16
    on = mask > 160
    return abs(float(luma[on].mean() - luma[around].mean())) if on.any() and around.any() else 0.0


def text(frame: U8, rng: np.random.Generator, low: float, high: float) -> tuple[U8, float, float]:
    """New lettering on a frame: the picture, the height of its capitals as a share of the side, by chance
    between `low` and `high`, and its contrast, at least LEAST_CONTRAST."""
    while True:
        cap = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        letters = lettering(rng, new=True, most=int(rng.integers(3, 9)))
        try:
            found, contrast = placed(frame, letters, cap, rng)
        except ValueError:
            continue
        if contrast >= LEAST_CONTRAST:
            return found, cap, contrast


def busy(frame: U8, rng: np.random.Generator) -> U8:
    """A frame with a fence, a window's bars or a keyboard's keys before it: regular, and no text."""
    side = min(frame.shape[:2])
    layer = np.zeros((2 * side, 2 * side), np.uint8)
    step = int(rng.uniform(0.02, 0.12) * side) + 3
    thick = max(1, round(step * rng.uniform(0.12, 0.6)))
    across, down = rng.choice([True, False]), rng.choice([True, False])
    for at in range(0, 2 * side, step):
        if across or not down:
            layer[:, at : at + thick] = 255
        if down:
            layer[at : at + thick] = 255
    layer = 255 - layer if rng.uniform() < 0.3 else layer
    turn = cv2.getRotationMatrix2D((side, side), float(rng.uniform(0, 360)), 1.0)
    turned = cv2.warpAffine(layer, turn, (2 * side, 2 * side), flags=cv2.INTER_LINEAR)
    height, width = frame.shape[:2]
    rows, columns = slice(side // 2, side // 2 + height), slice(side // 2, side // 2 + width)
    cover = turned[rows, columns].astype(np.float32)[..., None] / 255 * rng.uniform(0.4, 1.0)
    colour = rng.integers(0, 256, 3).astype(np.float32)
    left, right = sorted(rng.integers(0, width, 2))
    cover[:, :left], cover[:, max(right, left + width // 3) :] = 0, 0
    return np.asarray(np.clip(frame + cover * (colour - frame), 0, 255), np.uint8)


def _from(point: tuple[int, int], angle: float, length: float) -> tuple[int, int]:
    return round(point[0] + math.cos(angle) * length), round(point[1] + math.sin(angle) * length)
