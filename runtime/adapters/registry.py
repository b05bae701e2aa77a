"""The registry: adapters, guards and students by the hash of their content, and what auditions found.

files/SHA256/NAME holds a file under the name that it had; auditions/KEY.json a record, KEY.png its sheet.
What lies there is never changed, so that a lock can be gone back to and a restarted show finds its files.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vivant.engines.adapter_file import sha256_of
from vivant.engines.manifest import write_atomically
from vivant.runtime.frames import VivantError

LOG: Final = logging.getLogger("vivant.adapters")
PART: Final = ".part"


class Record(BaseModel):
    """What an audition found: `held` of `tried` ways to paint were not admitted; `reason` is the worst one's,
    empty for an adapter that passed. `student` and `guard` are the hashes that it holds for."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    sha256: str
    student: str
    guard: str
    passed: bool
    held: Annotated[int, Field(ge=0)]
    tried: Annotated[int, Field(ge=1)]
    reason: str = ""


class Registry:
    """One folder; several processes may use it at a time, since each file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def own(cls) -> Registry:
        """That of this user."""
        import platformdirs

        return cls(Path(platformdirs.user_data_dir("vivant")) / "registry")

    def keep(self, path: Path) -> Path:
        """The kept copy of a file, made if there is none yet, or none that is sound. Raises VivantError."""
        try:
            digest = sha256_of(path)
            kept = self.folder / "files" / digest / path.name
            if not kept.is_file() or sha256_of(kept) != digest:
                kept.parent.mkdir(parents=True, exist_ok=True)
                _copy(path, kept, digest)
        except OSError as error:
            raise VivantError(
                f"{path} cannot be kept in {self.folder}: {error.strerror or error}. "
                "Make room on the disk, or let this user write there."
            ) from error
        return kept

    def keep_bytes(self, data: bytes, name: str) -> str:
        """Keeps what has no file of its own; its hash. Raises VivantError."""
        digest = hashlib.sha256(data).hexdigest()
        kept = self.folder / "files" / digest / name
        try:
            if not kept.is_file():
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(kept, data)
        except OSError as error:
            raise VivantError(f"{name} cannot be kept in {self.folder}: {error.strerror}") from error
        return digest

    def find(self, digest: str) -> Path | None:
        """The kept file of this content, under one of its names; None when it was never kept."""
        folder = self.folder / "files" / digest
        found = sorted(folder.glob("[!.]*")) if folder.is_dir() else []
        return next((path for path in found if path.suffix != PART), None)

    def restore(self, digest: str, target: Path) -> None:
        """Put a kept content in the place of `target`, whole or not at all; what was there is kept first.
        Raises VivantError when it was never kept, is damaged, or cannot be written."""
        kept = self.find(digest)
        if kept is None:
            raise VivantError(
                f"{target}: its content {digest[:12]} is not in {self.folder}. Copy the file from a backup."
            )
        if target.is_file():
            self.keep(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(kept, target, digest)
        except OSError as error:
            raise VivantError(f"{target} cannot be written: {error.strerror or error}") from error

    def record(self, digest: str, student: str, guard: str) -> Record | None:
        """What the audition of this adapter by this student and guard found; None when there was none."""
        path = self._audition(digest, student, guard)
        try:
            return Record.model_validate_json(path.read_bytes()) if path.is_file() else None
        except (OSError, ValidationError) as error:
            LOG.warning("%s cannot be read, so the audition is held again: %s", path, error)
            return None

    def write(self, record: Record) -> None:
        """Remember an audition. Raises VivantError."""
        path = self._audition(record.sha256, record.student, record.guard)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, record.model_dump_json(indent=1).encode())
        except OSError as error:
            raise VivantError(f"{path} cannot be written: {error.strerror}") from error

    def sheet(self, digest: str, student: str, guard: str) -> Path:
        """Where the picture of an audition lies, or would lie."""
        return self._audition(digest, student, guard).with_suffix(".png")

    def forget(self, digest: str, student: str, guard: str) -> None:
        """Forget an audition, so that it is held again. Raises OSError."""
        self._audition(digest, student, guard).unlink(missing_ok=True)

    def _audition(self, digest: str, student: str, guard: str) -> Path:
        key = hashlib.sha256("\n".join((digest, student, guard)).encode()).hexdigest()
        return self.folder / "auditions" / f"{key[:32]}.json"


def _copy(source: Path, target: Path, digest: str) -> None:
    """A copy that is there whole or not at all. Raises OSError, also for a source that changes meanwhile."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=PART)
    os.close(handle)
    draft = Path(name)
    try:
        shutil.copyfile(source, draft)
        if sha256_of(draft) != digest:
            raise OSError(f"{source} is not what its hash {digest[:12]} says, or changes now")
        draft.chmod(0o644)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
