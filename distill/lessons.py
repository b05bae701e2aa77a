"""What an adapter learns from: a painter's pool, a palette laid over every style, or a folder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vivant.distill.adapt import BATCH, CROP_PX, Draw, Goal
from vivant.distill.losses import picture_loss, sliced_wasserstein
from vivant.distill.pool import Pairs, Pool
from vivant.runtime.frames import F32, U8, VivantError

TEXTURE = 5.0
FEWEST, MOST = 5, 50  # pictures in a folder
SMALLEST_PX = 256
BROAD = ((1, 7), (2, 7), (4, 7))  # scales of foreign texture: finer ones are met by noise alone
KEPT = 0.35  # how much of its own picture a student keeps beside foreign ones
SMOOTH = 8  # what is kept are the means over so many pixels
COLOURS = ("dark", "cool", "warm", "light")


def painter_lesson(pool: Pool, painter: str, styles: Sequence[str], host: str) -> tuple[Draw, Goal]:
    """Learn `painter`'s pool as a student of `styles` that stands in for `host`."""
    own = np.eye(len(styles), dtype=np.float32)[[styles.index(host)]]

    def draw(rng: np.random.Generator) -> Pairs:
        found = pool.batch(rng, [painter] * BATCH, CROP_PX)
        return Pairs(found.structure, found.picture, found.planes, np.repeat(own, BATCH, 0))

    return draw, _as_painted


def palette_lesson(pool: Pool, palette: F32) -> tuple[Draw, Goal]:
    """Learn every style of the pool in the four colours of `palette` (see `recolour`)."""

    def draw(rng: np.random.Generator) -> Pairs:
        found = pool.batch(rng, [str(s) for s in rng.choice(pool.styles, BATCH)], CROP_PX)
        pictures = np.stack([recolour(picture, palette) for picture in found.picture])
        return Pairs(found.structure, pictures, found.planes, found.weights)

    return draw, _as_painted


def pictures_lesson(pool: Pool, folder: Path, host: str) -> tuple[Draw, Goal]:
    """Learn the colours and the texture of the pictures in `folder` upon what `host` paints. Raises
    VivantError for too few pictures, too many, small or unreadable ones, all named."""
    pictures = read_pictures(folder)

    def draw(rng: np.random.Generator) -> Pairs:
        return pool.batch(rng, [host] * BATCH, CROP_PX)

    def goal(made: Tensor, pairs: Pairs, generator: torch.Generator) -> Tensor:
        which = torch.randint(len(pictures), (len(made),), generator=generator).tolist()
        crops = torch.stack([_crop(pictures[i], generator) for i in which])
        own = torch.from_numpy(pairs.picture).permute(0, 3, 1, 2).float() / 255
        luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
        kept = [F.avg_pool2d((p * luma).sum(1, keepdim=True), SMOOTH) for p in (made, own)]
        # tones are kept as an order, not as levels: the foreign pictures may be darker or paler
        kept = [(k - k.mean((2, 3), keepdim=True)) / (k.std((2, 3), keepdim=True) + 0.05) for k in kept]
        return sliced_wasserstein(made, crops, generator, BROAD) + KEPT * (kept[0] - kept[1]).abs().mean()

    return draw, goal


def _as_painted(made: Tensor, pairs: Pairs, generator: torch.Generator) -> Tensor:
    wanted = torch.from_numpy(pairs.picture).permute(0, 3, 1, 2).float() / 255
    return picture_loss(made, wanted) + TEXTURE * sliced_wasserstein(made, wanted, generator)


def _crop(picture: Tensor, generator: torch.Generator) -> Tensor:
    y, x = (int(torch.randint(side - CROP_PX + 1, (), generator=generator)) for side in picture.shape[1:])
    return picture[:, y : y + CROP_PX, x : x + CROP_PX]


def read_pictures(folder: Path) -> list[Tensor]:
    """The pictures of a folder, f32 (3, H, W) in [0, 1], the shorter side SMALLEST_PX to twice that."""
    if not folder.is_dir():
        raise VivantError(
            f"{folder} is no folder of pictures. Give --pictures a folder of {FEWEST} to {MOST}"
        )
    paths = sorted(
        p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".tif")
    )
    if not FEWEST <= len(paths) <= MOST:
        raise VivantError(
            f"{folder} holds {len(paths)} pictures (png, jpg, webp, tif); {FEWEST} to {MOST} are needed"
        )
    found, problems = [], []
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            problems.append(f"  {path.name}: cannot be read as a picture")
        elif min(image.shape[:2]) < SMALLEST_PX:
            height, width = image.shape[:2]
            problems.append(
                f"  {path.name}: {width}x{height}; the shorter side must be {SMALLEST_PX} or more"
            )
        else:
            factor = min(1.0, 2 * SMALLEST_PX / min(image.shape[:2]))
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            found.append(torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float() / 255)
    if problems:
        raise VivantError(
            "\n".join([f"{folder}: {len(problems)} of {len(paths)} pictures cannot be used", *problems])
        )
    return found


def read_palette(text: str) -> F32:
    """Four colours (4, 3) in [0, 1] from "#101028,#1f7a8c,#e4572e,#f7efe0": dark, cool, warm, light."""
    words = [word.strip().removeprefix("#") for word in text.split(",")]
    try:
        values = [[int(word[i : i + 2], 16) for i in (0, 2, 4)] for word in words if len(word) == 6]
    except ValueError:
        values = []
    if len(values) != len(COLOURS) or len(words) != len(COLOURS):
        raise VivantError(
            f"--palette {text}: give four colours, {', '.join(COLOURS)}, as #101028,#1f7a8c,#e4572e,#f7efe0"
        )
    return np.asarray(np.array(values) / 255, dtype=np.float32)


def recolour(picture: U8, palette: F32) -> U8:
    """A picture u8 (H, W, 3) in a palette: its tones run from dark to light by way of the cool colour where
    it was cool and of the warm one where it was warm, mixed in CIELAB."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    dark, cool, warm, light = cv2.cvtColor(palette[None], cv2.COLOR_RGB2LAB)[0]
    warmth = 1 / (1 + np.exp(-(lab[..., 2] + 0.5 * lab[..., 1] - 6) / 6))[..., None]
    middle = cool + (warm - cool) * warmth
    tone = lab[..., :1] / 100
    low, high = np.clip(tone / 0.5, 0, 1), np.clip((tone - 0.5) / 0.5, 0, 1)
    mixed = dark + (middle - dark) * low + (light - middle) * high
    shown = cv2.cvtColor(mixed.astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray(np.clip(np.rint(shown * 255), 0, 255), dtype=np.uint8)
