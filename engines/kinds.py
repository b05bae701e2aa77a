"""The only door from a student's card to what loads it: one module for each kind of student."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, cast

from vivant.engines import registry
from vivant.engines.card import Card
from vivant.engines.contract import EngineError, LoadedStudent, Precision, Wearable
from vivant.engines.student import find
from vivant.engines.watched import Through, as_loaded

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"house": "vivant.engines.student", "diffusion": "vivant.engines.diffusion.student"}
)


class StudentKind(Protocol):
    """A module that loads one kind of student."""

    def wardrobe(self, card: Card, more: Iterable[Path] = ()) -> Mapping[str, Wearable]:
        """The adapters that a student may wear by name: those that come with vivant, and `more`. Raises
        EngineError for a file that does not fit."""

    def inspect(self, card: Card, path: Path) -> tuple[str, Wearable]:
        """Reads and checks one adapter file in full: its name and what it is. Raises EngineError."""

    def reduce_adapter(self, card: Card, path: Path, rank: int, out: Path) -> Mapping[str, float]:
        """Writes to `out` the nearest adapter of `rank` to that in `path`: the share of its change that each
        layer lost, by name. Raises EngineError for a file that does not fit otherwise, and OSError."""

    def load(
        self,
        folder: Path,
        card: Card,
        backend: str,
        precision: Precision,
        size_px: tuple[int, int],
        threads: int,
        adapters: Iterable[Path],
        through: Through,
    ) -> LoadedStudent:
        """As load_student, of a card that was read."""


def kind_of(card: Card) -> StudentKind:
    """What knows students of a card's kind."""
    return cast(StudentKind, importlib.import_module(KINDS[card.kind]))


def rank_of(card: Card) -> int:
    """The rank that a slot of a student holds. Raises EngineError for one without slots."""
    slots = card.slots
    if slots is None:
        raise EngineError(f"student {card.name} takes no adapters")
    return slots[1]


def load_student(
    name_or_folder: str | Path,
    backend: str,
    precision: Precision,
    size_px: tuple[int, int] | None,
    threads: int,
    adapters: Iterable[Path] = (),
    through: Through = as_loaded,
) -> LoadedStudent:
    """Loads and warms up all graphs at `size_px` (width, height), None for the card's own size. `backend` is
    a concrete name (registry.choose turns "auto" into one); `adapters` are files that can be worn beside
    those that come with vivant; a student without slots wears none. It runs each engine as `through` hands it
    on (vivant.engines.watched). Raises EngineError."""
    folder, own = find(name_or_folder), registry.door(backend).own_student
    if own:
        folder = find(own)
    card = Card.read(folder)
    size_px = size_px or (card.default_size, card.default_size)
    return kind_of(card).load(folder, card, backend, precision, size_px, threads, adapters, through)
