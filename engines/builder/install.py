"""Verified engines and students appear, each by one rename; what was there before stays until then."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vivant.engines.builder.compare import Row
from vivant.engines.builder.errors import BuildError
from vivant.engines.builder.folders import link_tree
from vivant.engines.builder.step import STAGED
from vivant.engines.card import CARD
from vivant.engines.contract import EngineError, Part
from vivant.engines.manifest import Verified, keep, kept_folders, read_kept, recall, staged_in, sync_folder


def install_engine(
    store: Path, rows: Sequence[Row], layers: Mapping[Part, tuple[str, float]], inputs: str
) -> list[Path]:
    """Keeps what lies in a step's own store, with how it was verified at its sizes, in the store that the
    show uses; the folders that are there now. An engine that is there already, whole and verified alike, is
    left alone. Raises OSError."""
    found = []
    with staged_in(store):
        folders = kept_folders()
    for folder in folders:
        kept = read_kept(folder)
        own = [row for row in rows if row.part == kept.manifest.part]
        layer = layers.get(kept.manifest.part)
        verified = verified_by(own, f"{layer[0]}, cosine {layer[1]:.4f}" if layer else "", inputs)
        if _there(kept.manifest.folder) != verified:
            compiled = recall(folder, kept.manifest)
            assert compiled is not None
            keep(kept.manifest.folder, kept.manifest, compiled, verified)
        found.append(kept.manifest.folder)
    return found


def verified_by(rows: Sequence[Row], layer: str, inputs: str) -> Verified:
    """What a manifest says of these comparisons."""
    return Verified(
        psnr_db=round(min(row.psnr_db for row in rows), 1),
        cosine=round(min(row.cosine for row in rows), 6),
        worst_layer=layer,
        samples=len({row.wish for row in rows}),
        inputs_sha256=inputs,
    )


def _there(folder: Path) -> Verified | None:
    """How a kept engine was verified; None for one that is not there, not whole or not verified."""
    try:
        kept = read_kept(folder)
        recall(folder, kept.manifest)
    except EngineError:
        return None
    return kept.verified


def students_folder() -> Path:
    """Where students lie that were built on this machine, a name for each."""
    import platformdirs

    return Path(platformdirs.user_data_dir("vivant")) / "students"


def versions_folder() -> Path:
    """Where the files of those students lie, a folder for each version; names are links to them."""
    return students_folder().parent / "versions"


def install_student(folder: Path, name: str) -> Path:
    """Lets a whole student appear as `name`: its files lie in a folder named by what is in it, and the name
    is a link that is put in place of the one before by one rename. Raises BuildError and OSError."""
    names, root = students_folder(), versions_folder()
    for one in (names, root):
        one.mkdir(parents=True, exist_ok=True)
    refuse_taken(names / name)
    digest = hashlib.sha256((folder / CARD).read_bytes()).hexdigest()[:12]
    whole = root / f"{name}-{digest}"
    if not whole.exists():
        staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=root))
        try:
            link_tree(folder, staged)
            _sync(path for path in staged.rglob("*") if path.is_file())
            staged.chmod(0o755)
            staged.rename(whole)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    if (names / name).resolve() != whole.resolve():
        link = Path(tempfile.mktemp(prefix=STAGED, dir=root))
        link.symlink_to(Path("..") / root.name / whole.name, target_is_directory=True)
        link.replace(names / name)
    for one in (root, names):
        sync_folder(one)
    return names / name


def refuse_taken(place: Path) -> None:
    """Raises BuildError where a folder has the name that the builder did not make."""
    if place.exists() and not place.is_symlink():
        raise BuildError(
            f"{place} is a folder that the builder did not make. Choose another --name, or move it."
        )


def _sync(paths: Iterable[Path]) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(path.parent)
