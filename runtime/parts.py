"""What belongs to one scene of a show, made for the room that it runs in: see vivant.runtime.changing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vivant.runtime.canvas import is_software
from vivant.runtime.cues.running import Cues, log_line
from vivant.runtime.doors import Doors
from vivant.runtime.drives import Drives
from vivant.runtime.fallbacks import Fallbacks
from vivant.runtime.isf.effects import Effects
from vivant.runtime.ladder import Ladder
from vivant.runtime.scene import Scene
from vivant.runtime.sound.listening import SoundSource
from vivant.runtime.surface import Surface
from vivant.runtime.tempo.clock import BeatClock
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.running import Hook, Triggers
from vivant.runtime.witness import Witness


@dataclass(frozen=True, slots=True)
class Room:
    """What stays while scenes change. `hooks` hear of every trigger that fires."""

    surface: Surface
    tree: Tree
    doors: Doors
    beats: BeatClock
    ear: SoundSource | None = None
    witness: Witness | None = None
    hooks: Sequence[Hook] = ()
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to one scene."""

    scene: Scene
    triggers: Triggers
    cues: Cues | None
    fallbacks: Fallbacks | None
    ladder: Ladder | None
    effects: Effects | None
    drives: Drives | None

    def close(self) -> None:
        """Give back what is the graphics card's."""
        if self.effects is not None:
            self.effects.close()


def parts_of(scene: Scene, room: Room) -> Parts:
    """The parts of `scene`, whose parameters the room's tree has. Raises IsfError for an effect that this
    machine cannot draw."""
    tree = room.tree
    effects = effects_of(scene, room)
    if room.ear is not None:
        room.ear.seen = None if effects is None else effects.set_audio
    return Parts(
        scene,
        triggers_of(scene, room),
        cues_of(scene, room),
        fallbacks_of(scene, tree),
        Ladder(scene.ladder_sizes, scene.size[0], scene.budget_ms) if scene.ladder else None,
        effects,
        Drives(scene.drives, tree, scene.signals, room.beats.at) if scene.drives else None,
    )


def triggers_of(scene: Scene, room: Room) -> Triggers:
    """The scene's triggers; without any, they do nothing."""
    return Triggers(
        scene.triggers,
        room.tree,
        scene.calendar,
        scene.signals,
        tempo=room.beats,
        tell=room.doors.tell,
        hooks=room.hooks,
    )


def effects_of(scene: Scene, room: Room) -> Effects | None:
    """The ISF files that a scene names, compiled; None where it names none. Raises IsfError with file and
    line for one that this machine cannot draw."""
    if not scene.effects and not scene.transitions:
        return None
    context = room.surface.context
    software = is_software(context.info["GL_RENDERER"])
    watched = not room.locked  # what a lock holds does not change during the show either
    return Effects(context, scene, room.tree, software=software, tell=room.doors.tell, watched=watched)


def cues_of(scene: Scene, room: Room) -> Cues | None:
    """The scene's cue list; None where it has none."""
    if not scene.cues:
        return None
    hooks = (log_line,) if room.witness is None else (log_line, room.witness.went)
    return Cues(scene.cues, room.tree, scene.calendar, tempo=room.beats, tell=room.doors.tell, hooks=hooks)


def fallbacks_of(scene: Scene, tree: Tree) -> Fallbacks | None:
    """The scene's fallbacks; None where it names none."""
    guard, styles = scene.guard, tuple(tree.controls(0, 0, scene.size).styles)
    return Fallbacks(guard.fallbacks, styles, guard.fallback_after_s) if guard.fallbacks else None
