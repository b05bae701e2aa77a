"""A scene's own guard files: a policy that was fitted, under its hash, to one student."""

from __future__ import annotations

import hashlib
import importlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, cast

import numpy as np

from vivant.engines.manifest import write_atomically
from vivant.guardrails.envelope import GuardFileError
from vivant.guardrails.policy import Policy
from vivant.runtime.frames import Array

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"probe": "vivant.guardrails.probe", "brand": "vivant.guardrails.brand"}
)
"""The only door from a file's kind to the module that reads it."""
SHORTEST: Final = 12  # characters of a hash that a scene may shorten it to


class PolicyKind(Protocol):
    """A module that reads one kind of guard file."""

    def policy_of(self, kept: Mapping[str, Array]) -> Policy:
        """The policy that a file's arrays hold. Raises KeyError, ValueError or TypeError for others."""


@dataclass(frozen=True, slots=True)
class GuardFile:
    """A file of `vivant guard fit` or `vivant guard brand`; `sha256` may be its first characters."""

    path: Path
    sha256: str

    def load(self, student: str) -> Policy:
        """The policy that it holds, for the student of this hash. Raises GuardFileError."""
        kept = self.checked(student)
        kind = str(kept["kind"])
        try:
            return cast(PolicyKind, importlib.import_module(KINDS[kind])).policy_of(kept)
        except (KeyError, ValueError, TypeError) as error:
            raise GuardFileError(f"guard file {self.path} is no {kind}: {error}") from error

    def checked(self, student: str) -> dict[str, Array]:
        """Its arrays, if it is a policy for the student of this hash. Raises GuardFileError."""
        kept = self.read()
        kind, fitted_to = str(kept.get("kind", "")), str(kept.get("student", ""))
        if kind not in KINDS:
            raise GuardFileError(f"guard file {self.path} is of kind '{kind}', not one of {', '.join(KINDS)}")
        if fitted_to != student:
            raise GuardFileError(
                f"guard file {self.path} was fitted to the student of hash {fitted_to[:SHORTEST] or 'none'}, "
                f"but this one has {student[:SHORTEST] or 'none'}. Fit it again: vivant guard fit"
            )
        return kept

    def read(self) -> dict[str, Array]:
        """Its arrays by name. Raises GuardFileError when it is missing, of another hash or no such file."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise GuardFileError(
                f"guard file {self.path} cannot be read ({error.strerror}). Put it there, or fit another: "
                "vivant guard fit"
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if len(self.sha256) < SHORTEST or not found.startswith(self.sha256):
            raise GuardFileError(
                f"guard file {self.path} has sha256 {found[:SHORTEST]}..., but "
                f"'{self.sha256[:SHORTEST]}' is what the scene says. Put that file back, or write "
                "the new hash into the scene once you trust it"
            )
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                return {name: kept[name] for name in kept.files}
        except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise GuardFileError(
                f"guard file {self.path} is not one, or is damaged ({type(error).__name__}). Put it back, or "
                "fit it again: vivant guard fit"
            ) from error


def write_guard_file(path: Path, kind: str, student: str, arrays: Mapping[str, Array]) -> str:
    """Writes a file of `kind` for the student of hash `student`, whole or not at all; returns its sha256."""
    out, named = io.BytesIO(), {"kind": np.array(kind), "student": np.array(student), **arrays}
    np.savez_compressed(out, allow_pickle=False, **named)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, out.getvalue())
    return hashlib.sha256(out.getvalue()).hexdigest()
