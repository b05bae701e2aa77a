"""Prompts that the render process would not use: told to everybody who listens, and to the audit log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from vivant.engines.diffusion.prompts import mix_of
from vivant.runtime.frames import Value
from vivant.runtime.tree import Tree

LOG: Final = logging.getLogger("vivant.present")
REFUSED: Final = "/vivant/refused"
SOURCE: Final = "student"
LONGEST_REASON: Final = 200  # characters that go out over OSC


@dataclass(frozen=True, slots=True)
class Unspoken:
    """The render process says that it does not use a prompt, and why. The one before stays in the picture."""

    text: str
    reason: str


class Refusals:
    """One thread: the present loop's. A text was taken into the tree before its meaning was known, so the
    answer may come seconds after it, and goes to all."""

    def __init__(self, tree: Tree, tell: Callable[[str, Sequence[Value]], None]) -> None:
        self._tree, self._tell = tree, tell
        self.count = 0

    def hear(self, word: Unspoken) -> None:
        """Tell where the text stands, and why it is not used."""
        self.count += 1
        for address in self._standing(word.text) or ("/vivant/prompt",):
            self._tell(REFUSED, (address, word.reason[:LONGEST_REASON]))
            if self._tree.denied is not None:
                self._tree.denied(address, word.text, SOURCE, word.reason)
        LOG.warning("a prompt is not used: %s", word.reason)

    def _standing(self, text: str) -> tuple[str, ...]:
        """The addresses whose text it is, or is a part of."""
        return tuple(
            address
            for address, one in self._tree.parameters.items()
            if one.kind == "text"
            and text in (part for part, _ in mix_of(str(self._tree.current.get(address, ""))))
        )
