"""Where a show stands, as the process that follows a crash is told of it, and how that one comes back to it.

Kept are what operators, cues and triggers made of the parameters, worn adapters among them, the cue that
stands, the scene of the programme, and a panic. What cannot be read is a panic: the boundary fails closed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

from vivant.engines.diffusion.wishes import PROMPT
from vivant.runtime.cues.running import Cues
from vivant.runtime.frames import EMPTY, Value
from vivant.runtime.parameters import CHOOSE, PANIC, ROOT, SCENE
from vivant.runtime.programme import HOME
from vivant.runtime.tether import Before, Tether
from vivant.runtime.tree import Tree

LOG: Final = logging.getLogger("vivant.returning")
SOURCE: Final = "return"
BLANK: Final = ROOT + "present/blank"
FIRST: Final = (CHOOSE, PROMPT)  # they move other values, which come after them
PLACE_NS: Final = 1_000_000_000
FORGET_AFTER: Final = 3  # crashes in a row: perhaps it is a value that brings the show down


@dataclass(frozen=True, slots=True)
class Place:
    """`values` by address, as they are or are going; the names of the cue that stands and of the scene."""

    panic: bool = False
    values: Mapping[str, Value] = field(default_factory=lambda: EMPTY)
    cue: str = ""
    scene: str = HOME

    @classmethod
    def of(cls, tree: Tree, cues: Cues | None, scene: str) -> Place:
        """Where a show stands now. What acts when it is set (a cue, a scene) is not among the values."""
        values = {
            address: tree.goal(address) for address in tree.current if not tree.parameters[address].acts
        }
        return cls(tree.panic, values, "" if cues is None else cues.list[cues.standing].name, scene)

    @classmethod
    def read(cls, said: Any) -> Place:
        """What JSON made of one. Raises ValueError for what is none."""
        match said:
            case {"panic": bool(panic), "values": dict(values), "cue": str(cue), "scene": str(scene)}:
                return cls(panic, values, cue, scene)
        raise ValueError(f"{str(said)[:80]!r} is not where a show can stand")

    @classmethod
    def before(cls, before: Before) -> Place | None:
        """Where the process before stood; None where there was none, or it never told. After some crashes in
        a row only whether the screen was black."""
        if before.place is None:
            return None
        try:
            place = cls.read(before.place)
        except ValueError as error:
            LOG.warning("the screen stays black until /vivant/panic/release: %s", error)
            return cls(panic=True)
        if before.failures < FORGET_AFTER:
            return place
        LOG.warning("after %d crashes in a row the scene's own values are back", before.failures)
        return cls(place.panic, {BLANK: place.values.get(BLANK, False)})

    def put(self, tree: Tree, now_ns: int) -> None:
        """Send every value there, at once. What the tree does not know any more is left out."""
        for address in sorted(self.values, key=lambda one: one not in FIRST):
            if address in tree.parameters:
                tree.set(address, (self.values[address],), now_ns, SOURCE, fade_s=0.0)
        tree.tick(now_ns)


class Scenes(Protocol):
    """The scenes of a show, as vivant.runtime.changing.Changes has them."""

    @property
    def now(self) -> str: ...


class Returning:
    """Brings a show back to where it stood, and tells where it stands. One thread: the present loop's."""

    def __init__(self, tether: Tether, tree: Tree, now_ns: int) -> None:
        """Before anything is shown, and before the render process is told of its first values."""
        self._tether, self._tree = tether, tree
        self._place = Place.before(tether.before)
        self._told: tuple[int, bool, str] | None = None
        self._told_ns = now_ns - PLACE_NS
        if self._place is None:
            return
        if self._place.panic:
            tree.set(PANIC, (), now_ns, SOURCE)
        if self._place.scene == HOME:
            self._place.put(tree, now_ns)
        elif SCENE in tree.parameters:
            blank = {BLANK: self._place.values.get(BLANK, False)}
            Place(values=blank).put(tree, now_ns)
            tree.set(SCENE, (self._place.scene,), now_ns, SOURCE)

    def step(self, now_ns: int, cues: Cues | None, scenes: Scenes | None, shown_ns: int) -> None:
        """Once a refresh, after all that changes values; `shown_ns` is when the newest picture came."""
        scene = HOME if scenes is None else scenes.now
        if self._place is not None:
            self._come_back(self._place, now_ns, cues, scene)
            self._place = None
        self._tether.turned(shown_ns)
        if now_ns - self._told_ns < PLACE_NS and self._told is not None and self._told[1] == self._tree.panic:
            return
        cue = "" if cues is None else cues.list[cues.standing].name
        stands = (self._tree.version, self._tree.panic, f"{scene} {cue}")
        if stands != self._told:
            self._told, self._told_ns = stands, now_ns
            self._tether.stands(asdict(Place.of(self._tree, cues, scene)))

    def _come_back(self, place: Place, now_ns: int, cues: Cues | None, scene: str) -> None:
        if scene != place.scene:
            LOG.warning("the show stood in scene %s, which is no more; it goes on in %s", place.scene, scene)
            return
        if scene != HOME:
            place.put(self._tree, now_ns)
        if cues is not None and place.cue:
            cues.resume(place.cue, now_ns)
        LOG.info(
            "the show goes on%s%s%s",
            "" if scene == HOME else f", scene {scene}",
            f", cue {place.cue}" if place.cue and cues is not None else "",
            ", in panic: /vivant/panic/release ends it" if place.panic else "",
        )
