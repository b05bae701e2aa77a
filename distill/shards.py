"""Shards of a pool: sixteen painted items in a folder of their own, written whole or not at all.

`POOL/<name>/shard-00012/` holds `structure.npy` and `picture.npy` u8 (16, 256, 256, 3), `planes.npy`
u8 (16, 128, 128, 112) in blocks (vivant.engines.slots), and `shard.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.engines.slots import CHANNELS
from vivant.runtime.frames import U8, VivantError

SIZE_PX: Final = 256
ITEMS: Final = 16
SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    "structure": (ITEMS, SIZE_PX, SIZE_PX, 3),
    "picture": (ITEMS, SIZE_PX, SIZE_PX, 3),
    "planes": (ITEMS, SIZE_PX // 2, SIZE_PX // 2, CHANNELS),
}


class PoolError(VivantError):
    """The pool is missing, is of other painters, or holds too little to train on."""


@dataclass(frozen=True, slots=True)
class Item:
    """How one item was made. `follows`: it is the next frame of the item before it, on the same canvas."""

    weights: Mapping[str, float]
    follows: bool
    plane_seed: int


@dataclass(frozen=True, slots=True)
class Shard:
    """What `shard.json` says. `sha256` by array; `digest` by what the painting was made by."""

    pool: str
    index: int
    items: tuple[Item, ...]
    seconds: float
    sha256: Mapping[str, str]
    digest: Mapping[str, str]


def folder_of(pool: Path, name: str, index: int) -> Path:
    return pool / name / f"shard-{index:05}"


def whole(folder: Path) -> bool:
    """Whether a shard lies here with files of the right size. Their hashes are in `shard.json`."""
    if not (folder / "shard.json").is_file():
        return False
    for name, shape in SHAPES.items():
        file = folder / f"{name}.npy"
        if not file.is_file() or file.stat().st_size < np.prod(shape):
            return False
    return True


def read_shard(folder: Path) -> Shard:
    """Raises PoolError when `shard.json` cannot be read."""
    try:
        told = json.loads((folder / "shard.json").read_text())
        items = tuple(Item(**item) for item in told.pop("items"))
        return Shard(items=items, **told)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PoolError(f"{folder / 'shard.json'} cannot be read ({error}). Remove {folder}") from error


def open_arrays(folder: Path) -> dict[str, U8]:
    """The arrays by name, mapped and not read."""
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in SHAPES}


def sha256(array: U8) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def write_shard(pool: Path, shard: Shard, arrays: Mapping[str, U8]) -> None:
    """Written beside its place, then renamed. One that came first stays."""
    place = folder_of(pool, shard.pool, shard.index)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(draft / f"{name}.npy", array)
    (draft / "shard.json").write_text(json.dumps(asdict(shard)) + "\n")
    try:
        draft.rename(place)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not whole(place):
            raise


def sweep(pool: Path, name: str) -> None:
    """Remove drafts of processes that are no more, and folders that are no whole shard."""
    for draft in (pool / name).glob(".shard-*"):
        if not _alive(int(draft.suffix[1:])):
            shutil.rmtree(draft, ignore_errors=True)
    for folder in (pool / name).glob("shard-*"):
        if not whole(folder):
            shutil.rmtree(folder)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def shards_in(pool: Path, name: str) -> dict[int, Path]:
    """The whole shards of one folder of the pool, by index."""
    found = {int(f.name.removeprefix("shard-")): f for f in (pool / name).glob("shard-*") if whole(f)}
    return dict(sorted(found.items()))


def write_manifest(pool: Path, name: str) -> None:
    """`manifest.json`: what lies in the folder, with hashes and counts. None where there are no shards."""
    shards = [read_shard(folder) for folder in shards_in(pool, name).values()]
    if not shards:
        return
    told: dict[str, Any] = {
        "pool": name,
        "shards": {f"shard-{s.index:05}": s.sha256 for s in shards},
        "items": ITEMS * len(shards),
        "moving": sum(item.follows for s in shards for item in s.items),
        "seconds": round(sum(s.seconds for s in shards), 1),
        "digest": shards[0].digest,
    }
    draft = pool / name / f".manifest.{os.getpid()}.json"
    draft.write_text(json.dumps(told, indent=1) + "\n")
    draft.replace(pool / name / "manifest.json")
