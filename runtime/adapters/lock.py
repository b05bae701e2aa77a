"""A scene's lock: the hash of every file that its picture is made by, and the lock before it.

NAME.lock beside the scene; what it names is kept in the registry, so that the lock before can be gone back
to. Files of the student are named student/FILE, adapters that come with vivant shipped/FILE, shaders that do
shipped-isf/FILE, others by their path from the scene's folder.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vivant.engines.adapter import SHIPPED
from vivant.engines.adapter_file import sha256_of
from vivant.engines.card import CARD, Sha256, data_file
from vivant.engines.manifest import write_atomically
from vivant.engines.student import find
from vivant.runtime.adapters.found import worn_by
from vivant.runtime.adapters.registry import Registry
from vivant.runtime.frames import VivantError
from vivant.runtime.isf.section import SHIPPED as SHADERS
from vivant.runtime.isf.section import files_behind
from vivant.runtime.problems import report
from vivant.runtime.scene import Scene

VERSION: Final = 1
STUDENT: Final = "student/"
WITH_VIVANT: Final = "shipped/"
SHADER: Final = "shipped-isf/"
SHOWN: Final = 12  # characters of a hash


class Lock(BaseModel):
    """`files` by name (as above) and sha256; `student` as the scene names it; `previous` is the hash of the
    lock before, kept in the registry."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    scene: str
    student: str
    made: str
    files: dict[str, Sha256]
    previous: Sha256 | None = None

    @property
    def hashes(self) -> frozenset[str]:
        """The contents that it allows."""
        return frozenset(self.files.values())


def lock_path(scene_file: Path) -> Path:
    """Where the lock of a scene lies."""
    return scene_file.with_suffix(".lock")


def read_lock(scene_file: Path) -> Lock | None:
    """The scene's lock; None where there is none. Raises VivantError for one that cannot be read: a lock that
    is broken locks nothing, so the scene does not start."""
    path = lock_path(scene_file)
    try:
        return _parsed(path.read_bytes(), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VivantError(f"{path} cannot be read: {error.strerror}") from error


def files_of(scene: Scene, scene_file: Path) -> dict[str, Path]:
    """Every file that makes the scene's picture, by its name in a lock. Raises VivantError."""
    folder = find(scene.student)
    card, worn, _ = worn_by(scene.student, scene.adapters)
    found = {STUDENT + CARD: folder / CARD}
    for file in card.files():
        found[STUDENT + file.file] = folder / file.file
        if file.data is not None:
            found[STUDENT + file.file + ".data"] = data_file(folder / file.file)
    beside = [*(one.path for one in worn.values()), *scene.guard.paths, *files_behind(scene)]
    found |= {_name(path, scene_file): path for path in beside}
    return dict(sorted(found.items()))


def make_lock(
    scene: Scene, scene_file: Path, registry: Registry, told: Callable[[str, int], None]
) -> tuple[Lock, Lock | None]:
    """Keep every file and write the lock; it, and the one before. `told` hears each file's name and size
    before it is read. A scene that stands as its lock says keeps it. Raises VivantError."""
    before = read_lock(scene_file)
    files = {}
    for name, path in files_of(scene, scene_file).items():
        told(name, path.stat().st_size)
        files[name] = registry.keep(path).parent.name
    if before is not None and before.files == files:
        return before, before
    previous = None
    if before is not None:
        previous = registry.keep_bytes(_bytes(before), lock_path(scene_file).name)
    made = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    lock = Lock(
        scene=scene_file.name, student=scene.student, made=made, files=files,
        previous=previous,
    )  # fmt: skip
    _write(lock, scene_file)
    return lock, before


def check_files(scene_file: Path) -> Lock | None:
    """The scene's lock, if every file that it names is what it says; None for a scene without. Before the
    scene is read, which a file that is broken would prevent. Raises VivantError with every such file."""
    lock = read_lock(scene_file)
    if lock is not None:
        _refuse([trouble for trouble in _troubles(lock, scene_file).values() if trouble], scene_file)
    return lock


def check_known(lock: Lock, scene: Scene, scene_file: Path) -> None:
    """Nothing makes the picture that the lock does not know. Files in the scene's folders are no reason to
    refuse: whoever wears them leaves out what is not locked. Raises VivantError."""
    if scene.student != lock.student:
        _refuse([f"student: {scene.student} is asked for, and {lock.student} is locked"], scene_file)
    files = [*map(Path, scene.adapters), *scene.guard.paths, *files_behind(scene)]
    named = {_name(one, scene_file) for one in files if not one.is_dir()}
    required = {name for name in files_of(scene, scene_file) if name.startswith((STUDENT, WITH_VIVANT))}
    new = sorted((required | named) - lock.files.keys())
    _refuse([f"{name}: is new, and the lock does not know it" for name in new], scene_file)


def restore(scene_file: Path, lock: Lock, registry: Registry) -> list[str]:
    """Put back every file that is not what the lock says; their names. What stood there is kept. All of them
    are looked for first: nothing is written when one is missing. Raises VivantError."""
    wrong = [name for name, trouble in _troubles(lock, scene_file).items() if trouble]
    lacking = [name for name in wrong if registry.find(lock.files[name]) is None]
    if lacking:
        raise VivantError(
            f"{', '.join(lacking)}: not in {registry.folder}, so nothing was changed. The machine that made "
            "the lock has it: copy its registry folder here, and try again."
        )
    for name in wrong:
        registry.restore(lock.files[name], _where(name, lock.student, scene_file))
    return wrong


def roll_back(scene_file: Path, registry: Registry) -> tuple[Lock, list[str]]:
    """Go back to the lock before, files and all: it, and the names of the files that were put back. Raises
    VivantError where there is none."""
    lock = locked(scene_file)
    if lock.previous is None:
        raise VivantError(
            f"{lock_path(scene_file)} is the first lock of this scene; there is none before it. To put "
            f"back the files of this one: vivant scenes restore {scene_file}"
        )
    kept = registry.find(lock.previous)
    if kept is None:
        raise VivantError(
            f"the lock before {lock_path(scene_file)} is not in {registry.folder}. The machine that made it "
            "has it: copy its registry folder here, and try again."
        )
    before = _parsed(kept.read_bytes(), kept)
    registry.keep_bytes(_bytes(lock), lock_path(scene_file).name)
    put_back = restore(scene_file, before, registry)
    _write(before, scene_file)
    return before, put_back


def locked(scene_file: Path) -> Lock:
    """The scene's lock. Raises VivantError where there is none."""
    lock = read_lock(scene_file)
    if lock is None:
        raise VivantError(f"{scene_file} has no lock. Run: vivant scenes lock {scene_file}")
    return lock


def _refuse(problems: list[str], scene_file: Path) -> None:
    if problems:
        raise VivantError(
            report(str(lock_path(scene_file)), problems)
            + "\nThe scene is locked, so it does not start."
            + f"\n  to put the locked files back:   vivant scenes restore {scene_file}"
            + f"\n  to accept what is there now:    vivant scenes lock {scene_file}"
            + f"\n  to go back to the lock before:  vivant scenes rollback {scene_file}"
        )


def _troubles(lock: Lock, scene_file: Path) -> dict[str, str]:
    return {
        name: _trouble(name, digest, _where(name, lock.student, scene_file))
        for name, digest in lock.files.items()
    }


def _trouble(name: str, digest: str, path: Path) -> str:
    try:
        found = sha256_of(path)
    except OSError as error:
        return f"{name}: {path} cannot be read ({error.strerror})"
    if found == digest:
        return ""
    return f"{name}: {path} is {found[:SHOWN]}, and {digest[:SHOWN]} is locked"


def _name(path: Path, scene_file: Path) -> str:
    if path.parent == SHIPPED:
        return WITH_VIVANT + path.name
    if path.parent == SHADERS:
        return SHADER + path.name
    folder = scene_file.resolve().parent
    path = path.absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _where(name: str, student: str, scene_file: Path) -> Path:
    if name.startswith(STUDENT):
        return find(student) / name.removeprefix(STUDENT)
    if name.startswith(WITH_VIVANT):
        return SHIPPED / name.removeprefix(WITH_VIVANT)
    if name.startswith(SHADER):
        return SHADERS / name.removeprefix(SHADER)
    return scene_file.resolve().parent / name


def _parsed(data: bytes, path: Path) -> Lock:
    try:
        return Lock.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise VivantError(
            f"{path} is no lock: {where}: {first['msg']}. Put the lock back from a backup, or delete it and "
            "lock the scene anew."
        ) from error


def _bytes(lock: Lock) -> bytes:
    return (lock.model_dump_json(indent=1) + "\n").encode()


def _write(lock: Lock, scene_file: Path) -> None:
    path = lock_path(scene_file)
    try:
        write_atomically(path, _bytes(lock))
    except OSError as error:
        raise VivantError(f"{path} cannot be written: {error.strerror}") from error
