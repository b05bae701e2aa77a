"""Paints the training pool: structures, the planes their painters read, and the pictures.

    python -m vivant.distill.paint --out out/pool --pairs 3200 --workers 2 --clip film.avi

Each worker writes its own part; `meta{w}.json` tells how many of its pairs are done, so training may begin at
once. The same command goes on where an earlier one stopped; another pool is never painted over.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vivant.distill.structures import open_sources, training_structure
from vivant.distill.teachers import TEACHERS
from vivant.engines import bank, planes, strokebank, tiles
from vivant.engines.bank import source_of
from vivant.engines.planes import PLANE_NAMES, STYLES, PlaneField
from vivant.runtime.frames import F32, U8, VivantError

SIZE_PX = 256
_HERE = Path(__file__).parent
SOURCE = source_of(
    *(str(_HERE / name) for name in ("paint.py", "scenery.py", "structures.py")),
    *sorted(map(str, (_HERE / "teachers").glob("*.py"))),
    *(str(module.__file__) for module in (bank, planes, strokebank, tiles)),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One worker's share of a pool: its folder, number, pairs, the pool's seed and the clip, if any."""

    folder: Path
    worker: int
    pairs: int
    seed: int
    clip: Path | None

    @property
    def meta(self) -> Path:
        return self.folder / f"meta{self.worker}.json"

    @property
    def told(self) -> dict[str, object]:
        """What makes this part what it is; `source` is a digest of the code that paints."""
        return {"pairs": self.pairs, "seed": self.seed, "clip": bool(self.clip), "source": SOURCE}

    def array(self, kind: str, shape: tuple[int, ...], fresh: bool) -> U8:
        """The part's memory-mapped array u8 (pairs, *shape) of `kind`, made anew or opened for writing."""
        path, whole = self.folder / f"{kind}{self.worker}.npy", (self.pairs, *shape)
        if fresh:
            return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=whole)
        return np.lib.format.open_memmap(path, mode="r+")


def guide_of(structure: F32) -> F32:
    """The guide f32 (1, 1, H/2, W/2) of a structure f32 (H, W, 3), as the student's encoder computes it."""
    tone = structure @ np.array([0.299, 0.587, 0.114], np.float32)
    height, width = tone.shape
    return np.asarray(tone.reshape(1, 1, height // 2, 2, width // 2, 2).mean((3, 5)), dtype=np.float32)


def paint_pair(structure: U8, style: str, seed: int) -> tuple[U8, U8]:
    """Planes u8 (20, H, W) and picture u8 (H, W, 3) of a structure u8 (H, W, 3) in one style, by `seed`."""
    height, width = structure.shape[:2]
    seen = structure.astype(np.float32) / np.float32(255)
    weights = np.array([style == name for name in STYLES], np.float32)
    field = PlaneField((width, height), seed, STYLES)
    made = field.update(guide_of(seen), weights)[0]
    picture = TEACHERS[style](seen, made, seed)
    return made, np.rint(picture * 255).astype(np.uint8)


def _done(part: Part) -> int:
    """How many pairs an earlier run has left. Raises VivantError when it painted another pool here."""
    if not part.meta.is_file():
        return 0
    meta = json.loads(part.meta.read_text())
    other = {key: meta.get(key) for key, value in part.told.items() if meta.get(key) != value}
    if other:
        asked = {key: part.told[key] for key in other}
        raise VivantError(
            f"{part.meta} is of another pool: {other}, asked for {asked}. Give another --out or remove it"
        )
    return int(meta["done"])


def _tell(part: Part, done: int) -> None:
    draft = part.meta.with_suffix(".part")
    draft.write_text(json.dumps({"done": done, **part.told}))
    draft.replace(part.meta)


def paint_part(part: Part) -> None:
    """Paint what is left of one part. Pair i depends on (seed, worker, i) alone."""
    cv2.setNumThreads(1)
    start = _done(part)
    fresh = start == 0
    structures = part.array("structure", (SIZE_PX, SIZE_PX, 3), fresh)
    pictures = part.array("picture", (SIZE_PX, SIZE_PX, 3), fresh)
    grounds = part.array("planes", (len(PLANE_NAMES), SIZE_PX, SIZE_PX), fresh)
    styles = part.array("style", (), fresh)
    sources = open_sources(part.clip)
    for i in range(start, part.pairs):
        rng = np.random.default_rng((part.seed, part.worker, i))
        style = i % len(STYLES)
        structures[i] = training_structure(sources, rng, SIZE_PX)
        grounds[i], pictures[i] = paint_pair(structures[i], STYLES[style], int(rng.integers(2**31)))
        styles[i] = style
        _tell(part, i + 1)


def paint_pool(folder: Path, pairs: int, workers: int, seed: int, clip: Path | None) -> None:
    """Paint a pool of `pairs` with as many processes as `workers`, showing progress and time left.

    Raises VivantError when the folder holds another pool, or a worker ends early; what it painted stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    open_sources(clip)
    parts = [Part(folder, w, pairs // workers + (w < pairs % workers), seed, clip) for w in range(workers)]
    for part in parts:
        _done(part)
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=paint_part, args=(part,)) for part in parts]
    for process in running:
        process.start()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("painting", total=pairs)
        while any(process.is_alive() for process in running):
            progress.update(task, completed=sum(_done(part) for part in parts))
            time.sleep(0.5)
        progress.update(task, completed=sum(_done(part) for part in parts))
    ended = {w: process.exitcode for w, process in enumerate(running) if process.exitcode}
    if ended:
        raise VivantError(f"painters ended early (worker: exit code {ended}). Run the same command to go on")


def main(
    out: Annotated[Path, typer.Option(help="Folder of the pool.")],
    pairs: Annotated[int, typer.Option(min=1, help="Pairs in all, styles in turn.")] = 3200,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each.")] = 2,
    seed: Annotated[int, typer.Option(help="Another seed is another pool.")] = 0,
    clip: Annotated[Path | None, typer.Option(help="A film; its first two thirds are painted too.")] = None,
) -> None:
    """Paint the pairs that a student is trained on."""
    try:
        paint_pool(out, pairs, workers, seed, clip)
    except VivantError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    typer.run(main)
