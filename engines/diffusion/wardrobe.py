"""LoRA files of a show: each read once, packed for a slot before the show, and hung between two frames."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.bank import Bank, Hooks, Layout
from vivant.engines.diffusion.facts import Facts
from vivant.engines.diffusion.lora import Lora, read_lora
from vivant.engines.hangers import Hangers
from vivant.runtime.frames import F32

LOG = logging.getLogger(__name__)


def names_of(files: Iterable[Path]) -> dict[str, Path]:
    """The files by the names that they have in a show: their own in small letters, signs as dashes. Raises
    EngineError for a name that is there twice or has no letter."""
    found: dict[str, Path] = {}
    for path in files:
        name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
        if not name or not name[0].isalpha():
            raise EngineError(f"{path}: no adapter can be named '{name}'. Rename it: a letter first")
        if name in found:
            raise EngineError(f"{path} is named '{name}', and so is {found[name]}. Rename one of them")
        found[name] = path
    return found


def read_loras(facts: Facts, name: str, files: Iterable[Path]) -> dict[str, Lora]:
    """The adapters in `files` by name, for the slots of the student `name`. Raises EngineError."""
    return {key: read_one(facts, name, path)[1] for key, path in names_of(files).items()}


def layout_of(facts: Facts, name: str, path: Path) -> Layout:
    """The slots that a file is meant for. Raises EngineError for the student `name` without any."""
    if facts.adapters is None:
        raise EngineError(f"{path}: student {name} takes no adapters. Build it with --adapter-slots 1")
    return facts.adapters.layout


def read_one(facts: Facts, name: str, path: Path) -> tuple[str, Lora]:
    """The adapter in `path` and its name, as read_loras."""
    key = next(iter(names_of([path])))
    lora = read_lora(path, layout_of(facts, name, path), facts.layers, name)
    if lora.text_layers:
        LOG.warning(
            "%s changes %d layers of text encoders too, which a slot cannot: prompts stay as they are",
            path,
            lora.text_layers,
        )
    return key, lora


class Wardrobe:
    """The slots of one student, and which adapter hangs in which. One thread.

    To hang one is one copy of its row.
    """

    def __init__(self, facts: Facts, loras: Mapping[str, Lora]) -> None:
        self.loras = dict(loras)
        self._bank: Hooks | None = Bank(facts.adapters.layout) if facts.adapters is not None else None
        self._hangers = Hangers(facts.adapters.slots if facts.adapters else 0, self._hang)

    def inputs(self) -> dict[str, F32]:
        """By the names that the graph gives them; they stay where they are."""
        return {} if self._bank is None else self._bank.inputs()

    def wear(self, scales: Mapping[str, float]) -> dict[str, float]:
        """The adapters that are worn now and their scales in [0, 1], as Hangers.wear."""
        if self._bank is None:
            return {}
        return self._hangers.wear(scales, self.loras, self._bank.scale[0])

    def add(self, name: str, lora: Lora) -> None:
        """One more that can be worn, between two frames; it takes the place of another of its name."""
        self.loras[name] = lora
        self._hangers.renew(name)

    def hang_in(self, bank: Hooks) -> None:
        """Everything hangs elsewhere from here on, on a device; scales stay where they are."""
        assert self._bank is not None
        bank.scale, self._bank = self._bank.scale, bank
        for name in self.loras:
            self._hangers.renew(name)

    def _hang(self, slot: int, name: str) -> None:
        assert self._bank is not None
        self._bank.hang(slot, self.loras[name].row)
