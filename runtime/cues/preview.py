"""A preview of a scene: a running show is taken to one cue after another, and each is kept as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vivant.runtime.cues.listing import Cue
from vivant.runtime.doors import Status
from vivant.runtime.frames import U8, Value
from vivant.runtime.parameters import CHOOSE, CYCLE_S, FADE_S, GOTO, ROOT
from vivant.runtime.sheet import (
    CELL_PX,
    GROUND,
    GUTTER_PX,
    MARGIN_PX,
    label,
    lay,
    picture_png,
    resized,
)
from vivant.runtime.tree import Tree

if TYPE_CHECKING:
    from vivant.runtime.scene import Scene

SETTLE_S: Final = 1.0
ACROSS: Final = 4
LETTERS: Final = 42  # of small type on a line
NOTE_LINES: Final = 3
LINE_PX: Final = 20
LINE_TOP_PX: Final = 12  # of a label: where its letters begin
DIM: Final = (134, 127, 118)
QUIET: Final[Mapping[str, Value]] = {
    ROOT + "triggers/on": False,
    ROOT + "cues/auto": False,
    ROOT + "present/crossfade": 0.0,
    CYCLE_S: 0.0,
    FADE_S: 0.0,
}
"""What would change the picture by itself, or leave two in one; set before each visit, where there is it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Something to look at: what it is called, what there is to say of it, and which value leads there."""

    name: str
    note: str
    address: str = ""
    value: Value = ""


@dataclass(frozen=True, slots=True)
class Still:
    """A place as it was shown, u8 (H, W, 4)."""

    place: Place
    shown: U8


def places_of(scene: Scene, tree: Tree) -> tuple[Place, ...]:
    """A scene's cues; of a scene without, its start and everything that can be chosen alone."""
    if scene.cues:
        return tuple(Place(cue.name, cue.note, GOTO, cue.name) for cue in scene.cues)
    return (Place("start", scene.summary), *(Place(name, "", CHOOSE, name) for name in tree.media))


def hurried(scene: Scene) -> Scene:
    """The scene with cues that are there at once and stay: what they look like is the same."""
    return scene.model_copy(update={"cues": tuple(_hurried(cue) for cue in scene.cues)})


def _hurried(cue: Cue) -> Cue:
    aims = {address: replace(aim, fade_s=None) for address, aim in cue.aims.items()}
    return replace(cue, aims=aims, fade_s=0.0, wait_s=0.0, follow_s=None, follow=None, on=None, at=())


class Visits:
    """Goes to one place after another and keeps what is shown there `settle_s` later. To the present loop it
    is a Door, and what asks for pictures (Company.moments). `told` hears how many it has of how many."""

    name = "preview"
    refused = 0

    def __init__(
        self,
        places: Sequence[Place],
        settle_s: float = SETTLE_S,
        told: Callable[[int, int], None] | None = None,
    ) -> None:
        self._places, self._told = tuple(places), told
        self._settle_ns = round(settle_s * 1e9)
        self._went_ns: int | None = None
        self.stills: list[Still] = []

    @property
    def done(self) -> bool:
        """Whether every place was seen."""
        return len(self.stills) == len(self._places)

    def describe(self) -> str:
        return f"a preview of {len(self._places)} pictures"

    def drain(self, tree: Tree, now_ns: int) -> None:
        """Go to the next place once the last one was seen."""
        if self.done or self._went_ns is not None:
            return
        place = self._places[len(self.stills)]
        for address, value in QUIET.items():
            if address in tree.parameters:
                tree.set(address, (value,), now_ns, self.name)
        if place.address:
            tree.set(place.address, (place.value,), now_ns, self.name)
        self._went_ns = now_ns

    def due(self, now_ns: int) -> bool:
        """Whether the place can be kept now."""
        return self._went_ns is not None and now_ns - self._went_ns >= self._settle_ns

    def add(self, source: U8, shown: U8, now_ns: int) -> None:
        """Keep the place as it is shown; an answer that comes too late is of the place before."""
        if self.due(now_ns):
            self.stills.append(Still(self._places[len(self.stills)], shown))
            self._went_ns = None
            if self._told is not None:
                self._told(len(self.stills), len(self._places))

    def feed(self, tree: Tree, status: Status, now_ns: int) -> None:
        """Nobody listens."""

    def tell(self, address: str, args: Sequence[Value]) -> None:
        """Nobody listens."""

    def counts(self) -> dict[str, Any]:
        return {"pictures": len(self.stills)}

    def close(self) -> None:
        """It holds nothing."""


def draw_stills(stills: Sequence[Still], path: Path) -> None:
    """Write the sheet as PNG: each still with its name and its note below; cues with their numbers. Raises
    VivantError when the path cannot be written, ValueError for no stills."""
    if not stills:
        raise ValueError("a sheet needs at least one picture")
    cells = [_cell(still, number) for number, still in enumerate(stills, start=1)]
    bands = [cells[at : at + ACROSS] for at in range(0, len(cells), ACROSS)]
    tall = [max(cell.shape[0] for cell in band) for band in bands]
    width = 2 * MARGIN_PX + min(ACROSS, len(cells)) * (CELL_PX + GUTTER_PX) - GUTTER_PX
    sheet = np.full((2 * MARGIN_PX + sum(tall) + GUTTER_PX * (len(bands) - 1), width, 3), GROUND, np.uint8)
    top = MARGIN_PX
    for band, height in zip(bands, tall, strict=True):
        for at, cell in enumerate(band):
            lay(sheet, cell, MARGIN_PX + at * (CELL_PX + GUTTER_PX), top)
        top += height + GUTTER_PX
    picture_png(sheet, path)


def _cell(still: Still, number: int) -> U8:
    """A still with its words, u8 (h, CELL_PX, 3)."""
    place = still.place
    name = f"{number}  {place.name}" if place.address == GOTO else place.name
    lines = textwrap.wrap(place.note, LETTERS, max_lines=NOTE_LINES, placeholder=" ...")
    notes = [label(line, 0.4, DIM)[LINE_TOP_PX : LINE_TOP_PX + LINE_PX] for line in lines]
    return np.concatenate([resized(still.shown), label(name), *notes])
