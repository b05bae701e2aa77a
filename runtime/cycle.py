"""Nobody at the desk: the style changes by itself every so often."""

from __future__ import annotations

from vivant.runtime.frames import Value
from vivant.runtime.parameters import CHOOSE, CYCLE_S
from vivant.runtime.tree import Tree


class Cycle:
    """Chooses the next style every `/vivant/style/cycle_s` seconds (0: never), as a person would over OSC.

    A choice made by hand gets the whole time before the next change. One thread: the present loop's.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._chosen: Value = tree.value(CHOOSE) if tree.media else ""
        self._since_ns: int | None = None

    def step(self, now_ns: int) -> None:
        """Called once a refresh."""
        media = self._tree.media
        if not media:
            return
        chosen, every_s = self._tree.value(CHOOSE), float(self._tree.value(CYCLE_S))
        if self._since_ns is None or chosen != self._chosen or every_s <= 0:
            self._chosen, self._since_ns = chosen, now_ns
            return
        if now_ns - self._since_ns >= every_s * 1e9:
            following = media[(media.index(str(chosen)) + 1) % len(media)]
            self._tree.set(CHOOSE, (following,), now_ns, "cycle")
            self._chosen, self._since_ns = following, now_ns
