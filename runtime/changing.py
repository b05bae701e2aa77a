"""Changing the scene of a running show: what belongs to one scene is exchanged between two refreshes.

What stays is the room: window, doors, sound, beats, tracking, log, outputs and adapters are those of the
scene that the show was started with. What changes is the piece: values, triggers, cues, drives, effects,
fallbacks, words, and what the render process is for. Where the next scene asks for the same student, input
and guards the render process goes on, and values fade; else another one is started, as after a crash, and
until it can render the last picture lives on. One that cannot start leads back to the scene before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vivant.runtime.adapters.lock import check_files, check_known
from vivant.runtime.frames import Controls, VivantError
from vivant.runtime.parameters import ROOT, SCENE, SCENE_FADE_S
from vivant.runtime.parts import Parts, Room, effects_of, parts_of
from vivant.runtime.problems import report
from vivant.runtime.programme import HOME
from vivant.runtime.render import Job
from vivant.runtime.scene import Scene, load_scene, tree_of
from vivant.runtime.scene_signals import sensed_by
from vivant.runtime.supervise import RenderProcess
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.agreement import leaves
from vivant.runtime.triggers.rules import SignalIs

LOG: Final = logging.getLogger("vivant.scenes")
SOURCE: Final = "scenes"
AUTO: Final = "auto"
STAYS: Final = tuple(ROOT + part for part in ("present/blank", "tempo/", "sound/", "midi/", "scene/"))
"""Values that are the room's and the operator's."""
FURNITURE: Final = (*STAYS, ROOT + "body/")
"""Where the parameters of the room begin; every scene has those of the first one."""
ROOM: Final = ("osc", "midi", "sound", "body", "outputs", "tempo")
"""Sections that count only in the scene that a show is started with."""


class Changes:
    """The scenes of one show. `step` once a refresh; it says what to go on with when the scene changed.

    Raises IsfError for an effect that this machine cannot draw."""

    def __init__(self, scenes: Mapping[str, Scene], room: Room, process: RenderProcess) -> None:
        self._scenes, self._room, self._process = dict(scenes), room, process
        self._tree = room.tree
        self._trees = {name: _furnished(tree_of(one), self._tree) for name, one in scenes.items()}
        self._trees[HOME] = room.tree.as_begun()
        for name in scenes.keys() - {HOME}:  # the graphics card compiles them now, not in the show
            effects = effects_of(scenes[name], replace(room, tree=self._trees[name]))
            if effects is not None:
                effects.close()
        self._found = process.job.sense if scenes[HOME].input == AUTO else ""  # what "auto" came to
        self.now = self._before = HOME
        self._restarts: int | None = None  # of the render process when it was started for this scene
        self._changed = self._failed = 0

    @classmethod
    def of(cls, scenes: Mapping[str, Scene], room: Room, process: RenderProcess) -> Changes | None:
        """For a show of several scenes; None for one of one."""
        for line in unheard(scenes):
            LOG.warning("%s", line)
        return cls(scenes, room, process) if len(scenes) > 1 else None

    def step(self, now_ns: int) -> Parts | None:
        """Change when somebody chose another scene, or when this one cannot be rendered."""
        if self._restarts is not None:
            hello = self._process.hello
            if hello is not None and not hello.problem:
                self._ready(str(hello.facts["input"]))
            elif self._process.restarts > self._restarts:
                return self._back(now_ns)
        for _ in self._tree.actions(SCENE):
            chosen = str(self._tree.value(SCENE))
            if chosen != self.now:
                return self._change(chosen, now_ns)
        return None

    def counts(self) -> dict[str, Any]:
        """For the report."""
        return {"now": self.now, "changed": self._changed, "failed": self._failed}

    def _change(self, name: str, now_ns: int) -> Parts:
        scene, fade_s = self._scenes[name], float(self._tree.value(SCENE_FADE_S))
        LOG.info("the scene is %s now, before it was %s", name, self.now)
        if self._room.witness is not None:
            self._room.witness.changed(name, scene.title)
        self._before, self.now = self.now, name
        self._changed += 1
        self._tree.become(self._trees[name], now_ns, fade_s, STAYS)
        first = self._tree.controls(now_ns, 0, scene.size)
        sense = self._found or AUTO if scene.input == AUTO else scene.input
        job = job_of(scene, sense, self._process.job, first)
        if job != self._process.job:
            LOG.info("another render process is started for it; the last picture lives on until it paints")
            self._process.change(job)
            self._restarts = self._process.restarts
        return parts_of(scene, self._room)

    def _ready(self, sense: str) -> None:
        """The render process paints this scene; should it be started again, it looks at the same."""
        if self._process.job.sense == AUTO:
            self._found = sense
        self._process.job = replace(self._process.job, sense=sense, checked=True)
        if self._room.witness is not None:
            self._room.witness.meet(self._process.facts)
        self._restarts = None

    def _back(self, now_ns: int) -> Parts:
        LOG.warning(
            "scene %s: the render process %s; back to %s", self.now, self._process.trouble, self._before
        )
        self._failed += 1
        self._restarts = None
        name = self._before
        self._tree.set(SCENE, (name,), now_ns, SOURCE)
        self._tree.actions(SCENE)
        return self._change(name, now_ns)


def _furnished(tree: Tree, home: Tree) -> Tree:
    """A scene's tree with the parameters of the room that it lacks by itself."""
    lacking = [
        one for a, one in home.parameters.items() if a.startswith(FURNITURE) and a not in tree.parameters
    ]
    return tree.as_begun(lacking) if lacking else tree


def job_of(scene: Scene, sense: str, job: Job, first: Controls) -> Job:
    """What the render process is asked to do for `scene`, after `job`; the same where nothing differs but
    values."""
    asked = replace(
        job,
        sense=sense,
        student=scene.student,
        backend=scene.backend,
        precision=scene.precision,
        adapters=job.adapters if scene.student == job.student else (),
        guards=scene.guard.named(),
        denied=scene.words.denied(),
    )
    return job if asked == job else replace(asked, controls=first, seed=first.seed, checked=False)


def programme_of(scene: Scene) -> dict[str, Scene]:
    """Every scene of a show's programme by name, the show's own as HOME; each as it will run. Raises
    VivantError with everything that does not go together."""
    scenes, problems = {HOME: scene}, []
    for file in scene.programme.scenes:
        path = Path(file)
        lock, loaded = check_files(path), load_scene(path)
        if lock is not None:
            check_known(lock, loaded, path)
        problems += [f"{path.name}: {line}" for line in _apart(loaded, scene)]
        same = loaded.student == scene.student
        scenes[path.stem] = loaded.model_copy(
            update={"programme": scene.programme, "adapters": scene.adapters if same else loaded.adapters}
        )
    if problems:
        raise VivantError(report("programme", problems))
    return scenes


def _apart(scene: Scene, home: Scene) -> list[str]:
    """What a scene of a programme cannot have beside the scene that the show is started with."""
    found = []
    if scene.adapters and scene.adapters != home.adapters:
        found.append("adapters: those of a programme are named by the scene that the show is started with")
    if home.adapters and (scene.student != home.student or scene.guard.files != home.guard.files):
        found.append("another student or guard: does not go with adapters that are watched and auditioned")
    if scene.guard.critic not in (None, home.guard.critic):
        found.append("guard.critic: that of a programme is named by the scene that the show is started with")
    names = home.programme.names
    for rule in scene.triggers.values():
        for act in (*rule.do, *rule.after):
            if act.key == "scene" and act.to not in names:
                found.append(f"triggers.{rule.name}: {act.to} is none of this programme: {', '.join(names)}")
    return found


def unheard(scenes: Mapping[str, Scene]) -> list[str]:
    """What the later scenes of a programme say of the room, where the show stays in that of its first one,
    and the signals that are never known because of it: a line for each scene."""
    found, home = [], scenes[HOME]
    for name, scene in scenes.items():
        plain = Scene.model_validate({"title": scene.title})
        idle = [key for key in ROOM if getattr(scene, key) not in (getattr(home, key), getattr(plain, key))]
        if idle:
            sections = ", ".join(f"[{key}]" if key != "outputs" else key for key in idle)
            lacking = ", ".join(sorted(_asked(scene) & (_said(scene) - _said(home))))
            never = f" Never known in it: {lacking}." if lacking else ""
            found.append(
                f"{name}: {sections} does not take effect in this programme: what hears, tracks and sends "
                f"stays as in the scene that the show is started with. Write it there.{never}"
            )
    return found


def _said(scene: Scene) -> set[str]:
    """The signals that a scene's senses and sources say."""
    return {*sensed_by(scene.model_dump(exclude={"triggers", "cues"}))}


def _asked(scene: Scene) -> set[str]:
    """The signals that a scene's triggers and drives read."""
    of_triggers = (leaf for rule in scene.triggers.values() for leaf, _ in leaves(rule.when))
    named = {leaf.signal for leaf in of_triggers if isinstance(leaf, SignalIs)}
    return named | {drive.signal for drive in scene.drives.values()}
