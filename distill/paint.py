"""Paints the training pool in shards: structures, the planes their painters read, and the pictures.

    python -m vivant.distill.paint --styles base --shards 40 --out out/pool --workers 2 --clip film.avi

A shard depends on its style and number alone. It may be stopped at any moment: the same command goes on.
This module and what it imports need numpy, scipy and OpenCV only; see also `vivant distill paint`.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np

from vivant.distill.digest import digest_of
from vivant.distill.motion import training_motion
from vivant.distill.shards import (
    ITEMS,
    SIZE_PX,
    Item,
    PoolError,
    Shard,
    folder_of,
    read_shard,
    sha256,
    shards_in,
    sweep,
    write_manifest,
    write_shard,
)
from vivant.distill.sources import Sources, gather, material_of, open_sources
from vivant.distill.structures import training_structure
from vivant.distill.teachers import PAINTERS, guide_of, paint_with, painter
from vivant.engines.field import PlaneField
from vivant.runtime.frames import U8, VivantError

BASE: Final = PAINTERS[:8]
ADAPTERS: Final = PAINTERS[8:]
BLENDS: Final = "blends"
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {"base": BASE, "adapters": ADAPTERS}
MOVING: Final = 2  # items of a shard that come in twos, the frame and the next
HOLD: Final = 0.9  # of the tangents, as in the show
LIGHTEST: Final = 0.15  # weight of a style in a blend
THREES: Final = 0.2  # share of the blends that are of three styles


@dataclass(frozen=True, slots=True)
class Job:
    """One shard to be painted, and the digest of what it is painted by."""

    pool: Path
    name: str
    index: int
    digest: Mapping[str, str]


class Progress(Protocol):
    """Is told of each shard that is done: the folder's name, how many of all."""

    def __call__(self, name: str, done: int, total: int) -> None: ...


def pools_of(asked: str) -> list[str]:
    """Folders of the pool for `oil,ink`, `base`, `adapters`, `blends`, or several of these."""
    names = [name for word in asked.split(",") for name in GROUPS.get(word.strip(), (word.strip(),))]
    known = (*PAINTERS, BLENDS)
    if unknown := [name for name in names if name not in known]:
        raise VivantError(
            f"there is no painter of {', '.join(unknown)}. There are {', '.join(known)}; base; adapters"
        )
    if absent := [s for name in names for s in styles_of(name) if not _there(s)]:
        raise VivantError(f"the painters of {', '.join(dict.fromkeys(absent))} are not in distill/teachers")
    return list(dict.fromkeys(names))


def styles_of(name: str) -> tuple[str, ...]:
    """The styles that a folder of the pool is painted in."""
    return BASE if name == BLENDS else (name,)


def _there(style: str) -> bool:
    return find_spec(f"vivant.distill.teachers.{style}") is not None


def rng_of(name: str, index: int) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(f"{name} {index}".encode()).digest()))


def draw_weights(name: str, rng: np.random.Generator) -> dict[str, float]:
    """Weights by style, of sum 1: one style, or a blend of two or three of the base student's."""
    if name != BLENDS:
        return {name: 1.0}
    count = 3 if rng.random() < THREES else 2
    styles = rng.choice(BASE, count, replace=False).tolist()
    if count == 2:
        first = rng.uniform(LIGHTEST, 1 - LIGHTEST)
        shares = np.array([first, 1 - first])
    else:
        shares = LIGHTEST + (1 - 3 * LIGHTEST) * rng.dirichlet(np.ones(3))
    return {style: round(float(share), 4) for style, share in zip(styles, shares, strict=True)}


def paint_frames(frames: list[U8], weights: Mapping[str, float], seed: int) -> Iterator[tuple[U8, U8]]:
    """Planes u8 (H/2, W/2, CHANNELS) and picture u8 (H, W, 3) of successive frames u8 (H, W, 3).

    The picture of a blend is the mean, in sRGB, of what each painter paints with planes of its own.
    """
    height, width = frames[0].shape[:2]
    field = PlaneField((width, height), seed)
    own = {style: PlaneField((width, height), seed) for style in weights} if len(weights) > 1 else {}
    for k, frame in enumerate(frames):
        guide, hold = guide_of(frame), HOLD if k else 0.0
        planes = field.update(guide, weights, hold)[0].copy()
        whole = {style: each.update(guide, {style: 1.0}, hold)[0] for style, each in own.items()}
        if len(frames) > 2 and k < len(frames) - 2:
            continue  # only the last two frames are painted
        painted = (
            share * paint_with(style, frame, whole.get(style, planes), seed).astype(np.float32)
            for style, share in weights.items()
        )
        yield planes, np.clip(np.rint(sum(painted)), 0, 255).astype(np.uint8)


def paint_shard(name: str, index: int, sources: Sources) -> tuple[list[Item], dict[str, U8]]:
    """One shard's items and arrays."""
    rng = rng_of(name, index)
    items: list[Item] = []
    made: list[tuple[U8, U8, U8]] = []
    while len(items) < ITEMS:
        moving = len(items) >= ITEMS - 2 * MOVING
        weights, seed = draw_weights(name, rng), int(rng.integers(2**31))
        draw = training_motion if moving else training_structure
        drawn = draw(sources, rng, SIZE_PX)
        frames = drawn if isinstance(drawn, list) else [drawn]
        for k, (planes, picture) in enumerate(paint_frames(frames, weights, seed)):
            made.append((frames[k - 2] if moving else frames[k], picture, planes))
            items.append(Item(weights, bool(k), seed))
    stacked = (np.stack(arrays) for arrays in zip(*made, strict=True))
    return items, dict(zip(("structure", "picture", "planes"), stacked, strict=True))


_sources: Sources | None = None  # of this worker, opened once


def _begin(clip: Path | None, archive: Path | None, styles: Iterable[str]) -> None:
    """A worker begins. An interrupt is its parent's affair, and it ends with its parent. Painters are
    imported now: whatever is edited later is not what the digest tells of."""
    global _sources
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    cv2.setNumThreads(1)
    _sources = open_sources(clip, archive)
    for style in styles:
        painter(style)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _work(job: Job) -> Job:
    assert _sources is not None
    start = time.perf_counter()
    items, arrays = paint_shard(job.name, job.index, _sources)
    hashes = {kind: sha256(array) for kind, array in arrays.items()}
    seconds = round(time.perf_counter() - start, 2)
    write_shard(job.pool, Shard(job.name, job.index, tuple(items), seconds, hashes, job.digest), arrays)
    return job


def refuse_others(pool: Path, name: str, now: Mapping[str, str]) -> None:
    """Raises PoolError when shards of this folder were made by other sources."""
    for folder in shards_in(pool, name).values():
        then = read_shard(folder).digest
        if changed := sorted(key for key in {*now, *then} if now.get(key) != then.get(key)):
            raise PoolError(
                f"{folder} was painted by others: {', '.join(changed)} changed since. "
                f"Give another --out, or --anew to remove the shards of {name} and paint them again"
            )


def paint_pool(
    pool: Path,
    names: Iterable[str],
    shards: int,
    workers: int,
    clip: Path | None = None,
    archive: Path | None = None,
    anew: bool = False,
    progress: Progress | None = None,
) -> int:
    """Paint what is missing of the first `shards` shards of each folder, lowest numbers first; how many
    were painted. Raises VivantError when a folder is of other painters or a worker ends early."""
    names = list(names)
    pictures = {"the pictures and the clip": material_of(clip, archive).digest()}
    digests = {name: digest_of(styles_of(name)) | pictures for name in names}
    for name in names:
        sweep(pool, name)
        _check(pool, name, digests[name], anew)
    numbered = itertools.product(range(shards), names)
    jobs = [
        Job(pool, name, i, digests[name]) for i, name in numbered if not folder_of(pool, name, i).exists()
    ]
    total = shards * len(names)
    styles = tuple({style for job in jobs for style in styles_of(job.name)})
    for thread_count in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[thread_count] = "1"  # for the workers: one core each
    try:
        with _workers(min(workers, max(1, len(jobs))), clip, archive, styles) as executor:
            tasks = [executor.submit(_work, job) for job in jobs]
            for done, task in enumerate(as_completed(tasks), total - len(jobs) + 1):
                job = task.result()
                write_manifest(pool, job.name)
                if progress:
                    progress(job.name, done, total)
    except BrokenProcessPool as error:
        raise VivantError(
            "a painter was ended from outside (out of memory?). Run the same command to go on, "
            "perhaps with fewer --workers"
        ) from error
    finally:
        for name in names:  # shards that were in hand at an interrupt have been finished meanwhile
            write_manifest(pool, name)
    return len(jobs)


def _check(pool: Path, name: str, digest: Mapping[str, str], anew: bool) -> None:
    try:
        refuse_others(pool, name, digest)
    except PoolError:
        if not anew:
            raise
        shutil.rmtree(pool / name)


@contextmanager
def _workers(
    count: int, clip: Path | None, archive: Path | None, styles: Iterable[str]
) -> Iterator[ProcessPoolExecutor]:
    """Spawned workers. When anything ends early, shards in hand are finished and the others left."""
    spawn = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(count, spawn, _begin, (clip, archive, styles))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Paint the pool that a student is trained on.")
    parser.add_argument("--styles", default="base", help="oil,ink,... | base | adapters | blends")
    parser.add_argument("--shards", type=int, default=8, help="of each style, sixteen items each")
    parser.add_argument("--out", type=Path, default=Path("out/pool"))
    parser.add_argument("--clip", type=Path, help="a film; its first two thirds are painted too")
    parser.add_argument("--workers", type=int, default=2, help="processes, one core each")
    parser.add_argument("--structures", type=Path, help="take pictures and clip from this archive")
    parser.add_argument("--export-structures", type=Path, help="write that archive, and paint nothing")
    parser.add_argument("--anew", action="store_true", help="remove shards of other sources and paint again")
    given = parser.parse_args()
    start = time.monotonic()

    def told(name: str, done: int, total: int) -> None:
        print(f"{name} {done}/{total} {time.monotonic() - start:.0f} s", flush=True)

    try:
        if given.export_structures:
            gather(given.clip).save(given.export_structures)
            return
        paint_pool(
            given.out,
            pools_of(given.styles),
            given.shards,
            given.workers,
            given.clip,
            given.structures,
            given.anew,
            told,
        )
    except VivantError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
