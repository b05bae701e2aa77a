"""What a compiled engine was made from, written beside it and checked before it is used again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from vivant.engines.contract import EngineError, Part, Precision

MANIFEST = "manifest.json"


class Manifest(BaseModel):
    """`model_sha256` is the graph's hash from the student's card. `calibration_sha256` is the same for
    int8 (the Q/DQ ranges are in the graph) and empty for float. `shapes` by tensor name."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    student: str
    part: Part
    precision: Precision
    model_sha256: str
    calibration_sha256: str
    shapes: dict[str, tuple[int, ...]]
    adapter_slots: int
    backend: str
    backend_version: str
    device: str
    threads: int

    @property
    def key(self) -> str:
        """A folder name for what is compiled under this manifest: readable, and unique by content."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
        return f"{self.student}-{self.part}-{self.precision}-{digest}"

    @property
    def folder(self) -> Path:
        """Where what is compiled under this manifest is kept."""
        return cache_folder() / self.key

    def differences(self, other: Manifest) -> list[str]:
        """One line for each entry in which `other` differs."""
        mine, theirs = self.model_dump(), other.model_dump()
        return [f"{key}: {theirs[key]!r}, wanted {mine[key]!r}" for key in mine if mine[key] != theirs[key]]


class _Kept(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    manifest: Manifest
    file: str
    sha256: str


def keep(folder: Path, manifest: Manifest, compiled: bytes) -> None:
    """Writes `compiled` and then its manifest into `folder`, each atomically. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(compiled).hexdigest()
    kept = _Kept(manifest=manifest, file=f"engine-{digest[:12]}.blob", sha256=digest)
    write_atomically(folder / kept.file, compiled)
    write_atomically(folder / MANIFEST, kept.model_dump_json(indent=1).encode())


def recall(folder: Path, manifest: Manifest) -> bytes | None:
    """What `keep` wrote, or None where nothing was kept. Raises EngineError, saying what differs, when
    the manifest there is not `manifest` or the compiled engine is not the one it names."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        kept = _Kept.model_validate_json(path.read_bytes())
        compiled = (folder / Path(kept.file).name).read_bytes()
    except (ValidationError, OSError) as error:
        raise EngineError(_refusal(folder, [str(error).splitlines()[0]])) from error
    found = hashlib.sha256(compiled).hexdigest()
    differences = manifest.differences(kept.manifest)
    if found != kept.sha256:
        differences.append(f"sha256 of {kept.file}: {found[:12]}..., wanted {kept.sha256[:12]}...")
    if differences:
        raise EngineError(_refusal(folder, differences))
    return compiled


def cache_folder() -> Path:
    """Where compiled engines are kept, a folder for each; it may not exist yet."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("vivant")) / "engines"


def kept_engines() -> dict[Path, str]:
    """Every compiled engine that is kept, and what is wrong with it or ""."""
    found = {}
    for path in sorted(cache_folder().glob(f"*/{MANIFEST}")):
        try:
            recall(path.parent, _Kept.model_validate_json(path.read_bytes()).manifest)
            found[path.parent] = ""
        except (ValidationError, OSError):
            found[path.parent] = _refusal(path.parent, [f"{MANIFEST} cannot be read"])
        except EngineError as error:
            found[path.parent] = str(error)
    return found


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


def _refusal(folder: Path, differences: list[str]) -> str:
    lines = "\n".join(f"  {line}" for line in differences)
    return (
        f"the compiled engine in {folder} does not match its manifest:\n{lines}\nDelete that folder; "
        "it is built again at the next start."
    )
