"""The pictures of docs/gallery: a sheet for each style, and a wall of stills from the whole show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from vivant.distill.gallery import sheet
from vivant.distill.reel import write_film
from vivant.runtime.frames import U8, VivantError

QUALITY = 88
SHOWN = ("astronaut", "chelsea", "dancer_far", "clip_near", "portrait")
STILL_PX = 1080  # of a still: the height of a projector's picture
TILE_PX = 540
MARGIN_PX = 14
GROUND = 24
COLUMNS = 4
FILM_S, SHOT_S = 6.0, 4.5  # how long a show runs, and which moment is kept
ZOOM = 1.12  # of a photograph that stands for a camera: it comes slowly nearer


@dataclass(frozen=True, slots=True)
class Still:
    """One picture of the wall: what is chosen (style or adapter), what is looked at, and the palette worn."""

    chosen: str
    looked_at: str
    palette: str = ""


WALL = (
    Still("oil", "astronaut"),
    Still("mosaic", "chelsea"),
    Still("ink", "dancer"),
    Still("glass", "portrait"),
    Still("watercolour", "coffee"),
    Still("engraving", "astronaut"),
    Still("coral", "dancer"),
    Still("stipple", "chelsea"),
    Still("woodcut", "astronaut"),
    Still("filaments", "dancer"),
    Still("riso", "chelsea"),
    Still("oil", "clip", "halden-night"),
)


def style_sheet(rows: Mapping[str, Sequence[U8]], caption: str, tile_px: int = 256) -> U8:
    """A sheet of one style from rows (structure, teacher, float, INT8) by structure: structures across."""
    chosen = [rows[name] for name in SHOWN if name in rows] or list(rows.values())[: len(SHOWN)]
    smaller = [
        [cv2.resize(p, (tile_px, tile_px), interpolation=cv2.INTER_AREA) for p in row] for row in chosen
    ]
    return sheet([list(column) for column in zip(*smaller, strict=True)], caption)


def write_jpeg(path: Path, pixels: U8) -> None:
    """Write u8 (H, W, 3) sRGB. Raises VivantError when the file cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise VivantError(f"{path} cannot be written as a picture. Give --out a writable folder")


def wall(
    stills: Sequence[Still], structures: Mapping[str, U8], clip: Path | None, show: Callable[[str, int], None]
) -> U8:
    """Run the show for each still, headless at 1080 pixels with pictures of 512, and hang what it showed.

    Structures are photographs u8 (S, S, 3) by name that stand for a camera; "dancer" is the performer, "clip"
    the film.
    """
    tiles = []
    with TemporaryDirectory() as folder:
        for done, still in enumerate(stills):
            show(still.chosen, done)
            tiles.append(_shown(still, structures, clip, Path(folder)))
    side = TILE_PX + MARGIN_PX
    rows = -(-len(tiles) // COLUMNS)
    made: U8 = np.full((rows * side + MARGIN_PX, COLUMNS * side + MARGIN_PX, 3), GROUND, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (MARGIN_PX + n * side for n in divmod(i, COLUMNS))
        made[top : top + TILE_PX, left : left + TILE_PX] = tile
    return made


def _shown(still: Still, structures: Mapping[str, U8], clip: Path | None, folder: Path) -> U8:
    record = folder / "show.mp4"
    command = [sys.executable, "-P", "-m", "vivant.cli.app", "run", "mirror", "--headless", "--osc", "off"]
    command += ["--input", _input(still.looked_at, structures, clip, folder), "--record", str(record)]
    command += ["--seconds", str(FILM_S), "--picture", "512x512", "--size", f"{STILL_PX}x{STILL_PX}"]
    values = {"style/choose": still.chosen, "style/cycle_s": "0", "present/mirror": "0", "look/vignette": "0"}
    if still.palette:
        values[f"adapter/{still.palette}"] = "1"
    for name, value in values.items():
        command += ["--set", f"{name}={value}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise VivantError(f"the show for {still.chosen} did not run: {ran.stderr.strip()[-300:]}")
    film = cv2.VideoCapture(str(record))
    film.set(cv2.CAP_PROP_POS_MSEC, SHOT_S * 1000)
    there, frame = film.read()
    film.release()
    if not there:
        raise VivantError(f"the show for {still.chosen} recorded nothing at {SHOT_S} s")
    tile = cv2.resize(frame[..., ::-1], (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(tile, dtype=np.uint8)


def _input(looked_at: str, structures: Mapping[str, U8], clip: Path | None, folder: Path) -> str:
    if looked_at == "dancer":
        return "performer"
    if looked_at == "clip":
        return f"clip:{clip}" if clip else "performer"
    path = folder / f"{looked_at}.mp4"
    if not path.exists():
        write_film(path, list(_nearer(structures[looked_at])), fps=30)
    return f"clip:{path}"


def _nearer(photograph: U8) -> list[U8]:
    side = photograph.shape[0] // 2 * 2
    frames = []
    for zoom in np.linspace(1.0, ZOOM, round(FILM_S * 30)):
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), 0, float(zoom))
        frames.append(np.asarray(cv2.warpAffine(photograph, matrix, (side, side)), dtype=np.uint8))
    return frames
