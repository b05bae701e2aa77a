"""The ISF effects of a show: what lies over the picture and over the screen, transitions, changed files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import moderngl

from vivant.runtime.frames import F32, Value, VivantError
from vivant.runtime.isf.card import Card
from vivant.runtime.isf.crossing import Crossing
from vivant.runtime.isf.header import IsfError, Shader, read_shader
from vivant.runtime.isf.hearing import Hearing
from vivant.runtime.isf.inputs import MIX
from vivant.runtime.isf.section import EFFECT, GO, TRANSITION, EffectOf, IsfScene, TransitionOf
from vivant.runtime.isf.slot import Slot
from vivant.runtime.isf.watch import Watch
from vivant.runtime.placing import Size
from vivant.runtime.tree import Tree

LOG = logging.getLogger("vivant.effects")
REFUSED: Final = "/vivant/effects/refused"
SLOW_NS: Final = 30_000_000  # a software renderer moves what lives about so often; else every refresh

Tell = Callable[[str, Sequence[Value]], None]
Running = tuple[Slot, float, dict[str, Any]]  # with its mix and its uniforms


class Effects:
    """Everything ISF of one show. Only the context's thread may use it; nothing raises once it is made."""

    def __init__(
        self,
        context: moderngl.Context,
        scene: IsfScene,
        tree: Tree,
        *,
        software: bool = False,
        tell: Tell | None = None,
        watched: bool = True,
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Compile them all; their files are looked at for changes while they are `watched`. Raises IsfError
        naming file and line when one cannot be drawn here."""
        self._card, self._tree, self._tell, self._wall = Card(context), tree, tell, wall
        self._hearing = Hearing(self._card)
        self._rest_ns = SLOW_NS if software else 0
        self._places = {name: one.at for name, one in scene.effects.items()}
        self._effects = {name: self._slot(name, EFFECT, one) for name, one in scene.effects.items()}
        crossings = {name: self._slot(name, TRANSITION, one) for name, one in scene.transitions.items()}
        self._crossing = Crossing(self._card, crossings) if crossings else None
        self._slots = {slot.below: slot for slot in (*self._effects.values(), *crossings.values())}
        problems = list(self._start())
        if problems:
            raise IsfError("\n".join(problems))
        self._watch = Watch({below: slot.shader.path for below, slot in self._slots.items()})
        if watched:
            self._watch.start()
        self._now_ns = 0
        self._drawn_ns = 0
        self._fired: set[str] = set()
        self._active: list[Running] = []
        self._stirred = True
        self._spare: dict[str, list[Any]] = {"picture": [None, None], "screen": [None, None]}
        self._halves: list[Any] = [None] * 4
        self._upright: Any = None
        self._failed: dict[str, str] = {}
        self.refused = 0
        self._closed = False

    def _slot(self, name: str, section: str, given: EffectOf | TransitionOf) -> Slot:
        pictures = {image: Path(file) for image, file in given.images.items()}
        below = f"{section}{name}/"
        return Slot(name, below, read_shader(Path(given.file)), self._card, self._hearing, pictures)

    def _start(self) -> Iterator[str]:
        for slot in self._slots.values():
            try:
                slot.start()
            except IsfError as error:
                yield str(error)

    def set_audio(self, samples: F32, spectrum: F32) -> None:
        """What is heard now: `samples` f32 (channels, N) in [-1, 1], `spectrum` f32 (channels, M) in [0,
        1]."""
        self._hearing.set(samples, spectrum)

    def step(self, now_ns: int) -> None:
        """Once a refresh, before it is drawn: take the parameters, and do a little for files that changed."""
        self._now_ns = now_ns
        self._renew()
        values = self._tree.driven()
        for section in (EFFECT, TRANSITION):
            self._fired |= {action.address for action in self._tree.actions(section)}
        if self._fired:
            values = {**values, **dict.fromkeys(self._fired, True)}
        active = []
        for name, slot in self._effects.items():
            mix = float(values[slot.below + MIX])
            if mix > 0.0 and name not in self._failed:
                active.append((slot, mix, slot.values(values)))
        for slot in {one[0] for one in self._active} - {one[0] for one in active}:
            slot.forget()  # or what is old by then would come back with it
        self._stirred = self._stirred or active != self._active or bool(self._fired)
        self._active = active
        if self._crossing is not None:
            self._crossing.step(now_ns, values, go=GO in self._fired)
            self._fired.discard(GO)

    @property
    def moves(self) -> bool:
        """Whether what is shown would differ from what was drawn last, though picture and look are the
        same."""
        if self._stirred or (self._crossing is not None and self._crossing.running):
            return True
        due = self._now_ns - self._drawn_ns >= self._rest_ns
        return due and any(slot.lives for slot, _, _ in self._active)

    @property
    def on_screen(self) -> bool:
        """Whether anything is laid over the whole screen now."""
        return any(self._places[slot.name] == "screen" for slot, _, _ in self._active)

    def picture(self, drawing: Any) -> Any | None:
        """The texture `drawing`, whose top row is first, as the effects show it: a texture whose bottom row
        is first. None when nothing changes it, which costs nothing."""
        self._drawn_ns = self._now_ns
        running = [one for one in self._active if self._places[one[0].name] == "picture"]
        crossing = self._crossing
        if crossing is None or not crossing.running:
            if crossing is not None:
                crossing.saw(drawing, upside_down=True)
            if not running:
                self._rested()
                return None
        self._upright = self._card.resized(self._upright, drawing.size)
        self._card.copy(drawing, self._upright, upside_down=True)
        shown = self._upright.color_attachments[0]
        if crossing is not None and crossing.running:
            try:
                shown = crossing.cross(shown, self._wall)
            except moderngl.Error as error:
                crossing.stop()
                LOG.error("the transition ends: %s", error)
            crossing.saw(shown, upside_down=False)
        shown = self._through(running, shown, "picture")
        self._rested()
        return shown

    def screen(self, drawing: Any) -> Callable[[Any, Size], None]:
        """The whole screen's texture `drawing`, its bottom row first, as the effects that are at the screen
        show it: what paints that onto any framebuffer."""
        running = [one for one in self._active if self._places[one[0].name] == "screen"]
        shown = self._through(running, drawing, "screen")

        def paint(onto: Any, pixels: Size) -> None:
            texture = shown
            for place in range(
                len(self._halves)
            ):  # small, every pixel counts: nothing flashes between the reads
                size = (texture.size[0] // 2, texture.size[1] // 2)
                if size[0] < pixels[0] or size[1] < pixels[1]:
                    break
                self._halves[place] = self._card.resized(self._halves[place], size)
                self._card.copy(texture, self._halves[place])
                texture = self._halves[place].color_attachments[0]
            self._card.copy(texture, onto, size=pixels)

        return paint

    def _through(self, running: Sequence[Running], shown: Any, place: str) -> Any:
        """The texture that `shown` becomes by one effect after the other."""
        spare = self._spare[place]
        for one in running:
            spare[0] = self._card.resized(spare[0], shown.size)
            if self._lay(one, shown, spare[0]):
                shown = spare[0].color_attachments[0]
                spare.reverse()
        return shown

    def _lay(self, one: Running, shown: Any, target: Any) -> bool:
        """Draw one effect; one that the card has no memory for is left out from then on."""
        slot, mix, values = one
        try:
            slot.draw(target, shown, values, mix, self._now_ns, self._wall)
        except moderngl.Error as error:
            self._failed[slot.name] = str(error)
            LOG.error("the effect %s is left out from now on: %s", slot.name, error)
            return False
        return True

    def _rested(self) -> None:
        self._stirred = False
        self._fired.clear()

    def forget(self) -> None:
        """Nothing of earlier pictures is left anywhere: for the operator's black, after which nothing may
        come back."""
        self._fired.clear()
        for slot in self._slots.values():
            slot.forget()
        if self._crossing is not None:
            self._crossing.forget()

    def _renew(self) -> None:
        """Take what the watch read, and compile one program of what waits for it."""
        while self._watch.news:
            below, found = self._watch.news.popleft()
            slot = self._slots[below]
            problem = found if isinstance(found, IsfError) else self._misfit(slot, found)
            if problem is not None or isinstance(found, IsfError):
                self._refuse(slot, problem)
            else:
                slot.renew(found)
        building = next((slot for slot in self._slots.values() if slot.building), None)
        if building is None:
            return
        try:
            if building.work():
                self._failed.pop(building.name, None)
                self._stirred = True
                LOG.info("%s was changed, and is drawn so from now on", building.shader.path)
        except (IsfError, moderngl.Error) as error:
            self._refuse(building, error)

    def _misfit(self, slot: Slot, shader: Shader) -> VivantError | None:
        """Why a changed file cannot take over; None once its new inputs are in the tree."""
        if shader.header.kind != slot.shader.header.kind:
            return IsfError(
                f"{shader.path} was a {slot.shader.header.kind}, and is a {shader.header.kind} now"
            )
        fresh = []
        for one in slot.parameters_with(shader):
            there = self._tree.parameters.get(one.address)
            if there is None:
                fresh.append(one)
            elif (there.kind, there.minimum, there.maximum, there.choices) != (
                one.kind,
                one.minimum,
                one.maximum,
                one.choices,
            ):
                return IsfError(
                    f"{shader.path}: {one.address} was {there.range_text()} and is {one.range_text()} now; "
                    "that takes a new start of the show"
                )
        for one in fresh:
            self._tree.add(one)
        return None

    def _refuse(self, slot: Slot, problem: Exception | None) -> None:
        self.refused += 1
        LOG.warning("a changed file is refused, the one before stays: %s", problem)
        if self._tell is not None:
            self._tell(REFUSED, (slot.name, str(problem)[:500]))

    def counts(self) -> dict[str, Any]:
        """For the report: by effect how often it was drawn and reloaded; what was refused or failed."""
        slots = {
            slot.below.removeprefix("/vivant/").rstrip("/"): {"drawn": slot.drawn, "reloaded": slot.reloaded}
            for slot in self._slots.values()
        }
        return {**slots, "refused": self.refused, "failed": dict(self._failed)}

    def begin(self, drawing: Any, turned: bool) -> None:
        """Begin with a transition, where there is one: from the texture `drawing`, which another scene
        showed; `turned` says that its bottom row is first. It is copied."""
        if self._crossing is not None:
            self._crossing.begin_from(drawing, upside_down=not turned)

    def close(self) -> None:
        """End its thread, and give everything back to the graphics card. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._watch.close()
        for slot in self._slots.values():
            slot.release()
        if self._crossing is not None:
            self._crossing.release()
        spare = (one for both in self._spare.values() for one in both)
        for target in (self._upright, *self._halves, *spare):
            if target is not None:
                self._card.free(target)
        self._hearing.release()
        self._card.release()
