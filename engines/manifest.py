"""What a compiled engine was made from, written beside it and checked before it is used again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from vivant.engines.contract import EngineError, Part, Precision

MANIFEST = "manifest.json"
_STAGED: ContextVar[Path | None] = ContextVar("staged", default=None)
REBUILD = "Delete that folder: the next start compiles it anew."


class Manifest(BaseModel):
    """`model_sha256` is the graph's hash from the student's card. `calibration_sha256` is the same for
    int8 (the Q/DQ ranges are in the graph) and empty for float. `shapes` by tensor name. `rewrite` names what
    was done to the graph before the backend read it, and its version; empty where it reads it as it is."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    student: str
    part: Part
    precision: Precision
    model_sha256: str
    calibration_sha256: str
    shapes: dict[str, tuple[int, ...]]
    adapter_slots: int
    adapter_rank: int = 0
    backend: str
    backend_version: str
    device: str
    threads: int
    rewrite: str = ""

    @property
    def key(self) -> str:
        """A folder name for what is compiled under this manifest: readable, and unique by content."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
        return f"{self.student}-{self.part}-{self.precision}-{digest}"

    @property
    def folder(self) -> Path:
        """Where what is compiled under this manifest is kept."""
        return cache_folder() / self.key

    @property
    def what(self) -> str:
        """The engine in a few words, for messages."""
        return f"{self.student}.{self.part} ({self.backend}, {self.precision})"

    def differences(self, other: Manifest) -> list[str]:
        """One line for each entry in which `other` differs."""
        mine, theirs = self.model_dump(), other.model_dump()
        return [f"{key}: {theirs[key]!r}, wanted {mine[key]!r}" for key in mine if mine[key] != theirs[key]]


class Verified(BaseModel):
    """How an engine did against float on held-out inputs: the lowest PSNR and cosine of any of its outputs on
    any of `samples` inputs, the layer that INT8 costs most ("" where none was looked for), and the sha256 of
    what it was verified on."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    psnr_db: float
    cosine: float
    worst_layer: str
    samples: int
    inputs_sha256: str


class Kept(BaseModel):
    """manifest.json: what the engine was made from, its file and hash, and how it was verified, if it was."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    manifest: Manifest
    file: str
    sha256: str
    verified: Verified | None = None


def keep(folder: Path, manifest: Manifest, compiled: bytes, verified: Verified | None = None) -> None:
    """Writes `compiled` and then its manifest into `folder`, each atomically: until the manifest is there,
    the engine that was there before is the one that is found. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(compiled).hexdigest()
    file = f"engine-{digest[:12]}.blob"
    kept = Kept(manifest=manifest, file=file, sha256=digest, verified=verified)
    write_atomically(folder / kept.file, compiled)
    write_atomically(folder / MANIFEST, kept.model_dump_json(indent=1).encode())


def recall(folder: Path, manifest: Manifest) -> bytes | None:
    """What `keep` wrote, or None where nothing was kept. Raises EngineError, one line that says what
    differs, when the manifest there is not `manifest` or the compiled engine is not the one it names."""
    if not (folder / MANIFEST).exists():
        return None
    kept = read_kept(folder)
    try:
        compiled = (folder / Path(kept.file).name).read_bytes()
    except OSError as error:
        raise EngineError(_refusal(folder, [f"{kept.file} cannot be read ({error.strerror})"])) from error
    found = hashlib.sha256(compiled).hexdigest()
    differences = manifest.differences(kept.manifest)
    if found != kept.sha256:
        differences.append(f"sha256 of {kept.file}: {found[:12]}, wanted {kept.sha256[:12]}")
    if differences:
        raise EngineError(_refusal(folder, differences))
    return compiled


def read_kept(folder: Path) -> Kept:
    """The manifest of one kept engine. Raises EngineError when it is none."""
    try:
        return Kept.model_validate_json((folder / MANIFEST).read_bytes())
    except (ValidationError, OSError) as error:
        raise EngineError(_refusal(folder, [f"{MANIFEST} cannot be read"])) from error


def kept_folders() -> list[Path]:
    """The folder of every engine that is kept, whole or not."""
    return [path.parent for path in sorted(cache_folder().glob(f"*/{MANIFEST}"))]


def fault_of(folder: Path) -> str:
    """What is wrong with a kept engine, or ""."""
    try:
        recall(folder, read_kept(folder).manifest)
    except EngineError as error:
        return str(error)
    return ""


def kept_engines() -> dict[Path, str]:
    """Every compiled engine that is kept, and what is wrong with it or ""."""
    return {folder: fault_of(folder) for folder in kept_folders()}


def relatives(manifest: Manifest) -> list[str]:
    """One line for each kept engine of the same graph at the same shapes that is not this one's, because
    another version, device or number of threads was compiled for."""
    lines = []
    pattern = f"{manifest.student}-{manifest.part}-{manifest.precision}-*/{MANIFEST}"
    for path in sorted(cache_folder().glob(pattern)):
        try:
            other = read_kept(path.parent).manifest
        except EngineError:
            continue  # `vivant engines list` tells of it
        same = other.model_dump(include={"model_sha256", "shapes", "backend"})
        if other != manifest and same == manifest.model_dump(include=set(same)):
            lines.append(
                f"{path.parent} is not used: it was built for {'; '.join(manifest.differences(other))}"
            )
    return lines


def cache_folder() -> Path:
    """Where compiled engines are kept, a folder for each; it may not exist yet."""
    return _STAGED.get() or kept_folder()


def is_staged() -> bool:
    """Whether engines are kept elsewhere now than where the show looks for them."""
    return _STAGED.get() is not None


def kept_folder() -> Path:
    """`cache_folder` of the show, also while the builder has another."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("vivant")) / "engines"


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """Inside, engines are kept in `folder` and looked for there: how the builder tries them, loaded as the
    show loads them, before they appear."""
    token = _STAGED.set(folder)
    try:
        yield
    finally:
        _STAGED.reset(token)


def write_atomically(path: Path, data: bytes) -> None:
    """Whoever reads `path` finds the old bytes or the new ones, also after a power cut. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in `folder` are on the disk after this, where the system lets a folder be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refusal(folder: Path, differences: list[str]) -> str:
    return f"the compiled engine in {folder} does not match its manifest: {'; '.join(differences)}. {REBUILD}"
