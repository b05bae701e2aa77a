"""One contact sheet of the painters: held-out structures across, styles down.

python -m vivant.distill.gallery --out out/teachers.png --clip film.avi
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from vivant.distill.paint import paint_pair
from vivant.distill.structures import held_out
from vivant.engines.planes import STYLES
from vivant.runtime.frames import U8, VivantError


def contact_sheet(structures: Mapping[str, U8], paint: Callable[[U8, str], U8]) -> U8:
    """u8 (S * 5, S * n, 3): the structures u8 (S, S, 3) in a row, then each style's pictures of them."""
    rows = [np.hstack(list(structures.values()))]
    for style in STYLES:
        rows.append(np.hstack([paint(structure, style) for structure in structures.values()]))
    return np.vstack(rows)


def write_png(path: Path, pixels: U8) -> None:
    """Write u8 (H, W, 3) sRGB. Raises VivantError when the file cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)):
        raise VivantError(f"{path} cannot be written as a picture. Give --out a writable path ending in .png")


def main(
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("out/teachers.png"),
    size: Annotated[int, typer.Option(help="Side of one picture in pixels, a multiple of 32.")] = 256,
    seed: Annotated[int, typer.Option(help="Moves the tiles under the canvas.")] = 0,
    clip: Annotated[Path | None, typer.Option(help="A film; two frames of its last third are shown.")] = None,
) -> None:
    """Paint the held-out structures in every style."""
    cv2.setNumThreads(1)
    try:
        write_png(
            out, contact_sheet(held_out(size, clip), lambda seen, style: paint_pair(seen, style, seed)[1])
        )
    except VivantError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(str(out))


if __name__ == "__main__":
    typer.run(main)
