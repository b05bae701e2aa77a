"""What adapter files of every kind share: whether one is whole on the disk, its hash, its licence."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vivant.engines.contract import EngineError

SUFFIX: Final = ".safetensors"
LARGEST_HEADER: Final = 100_000_000  # bytes, as safetensors itself has it
LONGEST_LICENSE: Final = 100_000  # characters
LICENSE_KEYS: Final = ("license", "modelspec.license", "ss_license")


def is_whole(path: Path) -> bool:
    """Whether a safetensors file has the length that its header says: one that is still being copied has
    not. False too for what is no such file, and for what is gone."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LARGEST_HEADER:
                return False
            entries = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        return path.stat().st_size == 8 + int(length) + int(max(ends, default=0))
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error):
        return False


def sha256_of(path: Path) -> str:
    """The hash of a file, read in pieces. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def license_of(path: Path, metadata: Mapping[str, str]) -> str:
    """The licence that a file states, or that stands in NAME.license.txt beside it; empty where neither is.
    Raises EngineError for a text that is none."""
    said = next((metadata[key] for key in LICENSE_KEYS if metadata.get(key)), "")
    beside = path.with_suffix(".license.txt")
    if not said and beside.is_file():
        try:
            said = beside.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"{beside} cannot be read as text ({error}). Save it as UTF-8.") from error
    if (
        len(said) > LONGEST_LICENSE
        or not said.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable()
    ):
        raise EngineError(f"{path}: its licence is no text of at most {LONGEST_LICENSE} characters")
    return said.strip()
