"""The engines that are kept on this machine: what each is, whether it can be used, and what can go."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vivant.engines import registry
from vivant.engines.builder.install import students_folder, versions_folder
from vivant.engines.builder.plan import where
from vivant.engines.builder.step import STAGED, Shelf
from vivant.engines.card import Card
from vivant.engines.contract import EngineError
from vivant.engines.manifest import Kept, Manifest, cache_folder, fault_of, kept_folders, read_kept
from vivant.engines.student import built, shipped

OLD_S = 7 * 86400.0  # a step that nobody wanted for so long is done again when it is
YOUNG_S = 3600.0  # a file without a manifest may be about to get one
ANY_GPU = "any GPU"


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept engine. `kept` is None where its manifest cannot be read; `state` is "ok", or in a few words
    why it cannot be used; `why` is the whole line."""

    folder: Path
    kept: Kept | None
    state: str
    why: str = ""

    @property
    def bytes(self) -> int:
        return size_of(self.folder)


@dataclass(frozen=True, slots=True)
class Waste:
    """What can go, and why."""

    path: Path
    why: str

    @property
    def bytes(self) -> int:
        return size_of(self.path)


def entries() -> list[Entry]:
    """Every engine that is kept, and its state on this machine."""
    return [_entry(folder) for folder in kept_folders()]


def shelf_folder() -> Path:
    """Where the results of steps are kept."""
    return cache_folder().parent / "steps"


def sizes_of(manifest: Manifest) -> list[tuple[int, int]]:
    """The sizes (width, height) that an engine is for, from its manifest's shapes."""
    found = []
    for size in dict.fromkeys(name.rpartition("@")[2] for name in manifest.shapes if "@" in name):
        width, _, height = size.partition("x")
        found.append((int(width), int(height)))
    return found or [_size_of_cpu(manifest)]


def _size_of_cpu(manifest: Manifest) -> tuple[int, int]:
    shapes = manifest.shapes
    for name, axis in (("frame", 1), ("picture", 1)):
        if name in shapes:
            return shapes[name][axis + 1], shapes[name][axis]
    height, width = shapes["code"][2:]
    return width * 8, height * 8


def _entry(folder: Path) -> Entry:
    try:
        kept = read_kept(folder)
    except EngineError as error:
        return Entry(folder, None, "corrupted", str(error))
    fault = fault_of(folder)
    if fault:
        return Entry(folder, kept, "corrupted", fault)
    return Entry(folder, kept, *state_of(kept.manifest))


def state_of(manifest: Manifest) -> tuple[str, str]:
    """Whether an engine is for what is here: ("ok", ""), or in a few words and in a line why not."""
    try:
        here = _here(manifest.backend)
    except EngineError as error:
        return "no backend", f"{manifest.what}: {error}"
    for name, found in (("version", manifest.backend_version), ("device", manifest.device)):
        wanted = here[name]
        if found != wanted and not found.startswith(ANY_GPU):
            return f"other {name}", (
                f"{manifest.what} was built for {name} {found}, and here is {wanted}. Build it anew."
            )
    return "ok", ""


@cache
def _here(backend: str) -> dict[str, str]:
    return where(backend)


def waste(shelf: Shelf, now_s: float | None = None) -> Iterator[Waste]:
    """What no student needs, nor any build."""
    now_s = time.time() if now_s is None else now_s
    hashes = known_graphs()
    for entry in entries():
        if entry.state != "ok":
            yield Waste(entry.folder, entry.state)
        elif entry.kept is not None and entry.kept.manifest.model_sha256 not in hashes:
            yield Waste(entry.folder, "of a student that is not here")
        elif entry.kept is not None:
            yield from _strays(entry.folder, entry.kept.file, now_s)
    for path in _left(cache_folder(), "*", now_s):
        if path.is_dir() and not (path / "manifest.json").exists():
            yield Waste(path, "an engine that was never whole")
    for path in _left(shelf.folder, f"{STAGED}*", now_s):
        yield Waste(path, "left by a build that was ended")
    for path in shelf.folder.glob("[!.]*"):
        if now_s - path.stat().st_mtime > OLD_S:
            yield Waste(path, "a step that nobody wanted for a week")
    yield from _superseded(now_s)


def remove(found: Iterable[Waste]) -> int:
    """Bytes that are free now."""
    freed = 0
    for one in found:
        freed += one.bytes
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path, ignore_errors=True)
        else:
            one.path.unlink(missing_ok=True)
    return freed


def known_graphs() -> set[str]:
    """The hashes of the graphs of every student that is here."""
    found = set()
    for folder in (*shipped().values(), *built().values()):
        try:
            card = Card.read(folder)
        except EngineError:
            continue  # `vivant engines list` tells of it
        found |= {file.whole for kinds in card.graphs.values() for file in kinds.values()}
    return found


def _superseded(now_s: float) -> Iterator[Waste]:
    """Students that were built and replaced."""
    linked = {path.resolve() for path in students_folder().glob("*")}
    for path in _left(versions_folder(), "*", now_s):
        if path.is_symlink() or path.resolve() not in linked:
            yield Waste(path, "a student that was replaced, or never whole")


def _strays(folder: Path, file: str, now_s: float) -> Iterator[Waste]:
    for path in _left(folder, "*", now_s):
        if path.name not in (file, "manifest.json"):
            yield Waste(path, "replaced")


def _left(folder: Path, pattern: str, now_s: float) -> Iterator[Path]:
    """What nobody touches any more."""
    for path in sorted(folder.glob(pattern)):
        if now_s - path.lstat().st_mtime > YOUNG_S:
            yield path


def size_of(path: Path) -> int:
    """Bytes of a file or of all files in a folder."""
    files = (
        [path]
        if path.is_file() or path.is_symlink()
        else [each for each in path.rglob("*") if each.is_file()]
    )
    return sum(each.lstat().st_size for each in files)


def backends() -> list[str]:
    """Those that compile."""
    return [name for name, door in registry.BACKENDS.items() if door.reads == "graphs"]
