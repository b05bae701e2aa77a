"""The only door to the senses: a scene's words for an input, and the sense that they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vivant.runtime.frames import Clock
from vivant.runtime.isf.sense import check_generator, open_generator
from vivant.runtime.senses.camera import Camera, cameras, check_camera, delivers, open_camera
from vivant.runtime.senses.clip import check_clip, open_clip
from vivant.runtime.senses.contract import Phase, Sense, SenseError
from vivant.runtime.senses.depth import check_depth, open_depth
from vivant.runtime.senses.ndi import check_ndi, open_ndi
from vivant.runtime.senses.performer import open_performer
from vivant.runtime.senses.spout import check_spout, open_spout
from vivant.runtime.senses.syphon import check_syphon, open_syphon

FPS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of sense: how to `open` it, how to `check` it, and the `example` that errors show."""

    example: str
    takes: bool
    check: Callable[[str], None]
    open: Callable[[str, Clock, float, Phase | None], Sense]


KINDS: Final = {
    "camera": Kind(
        "camera:0", True, check_camera, lambda where, clock, fps, phase: open_camera(where, clock, fps)
    ),
    "clip": Kind(
        "clip:FILE",
        True,
        lambda where: check_clip(Path(where).expanduser()),
        lambda where, clock, fps, phase: open_clip(Path(where).expanduser(), clock, phase),
    ),
    "depth": Kind(
        "depth:0", True, check_depth, lambda where, clock, fps, phase: open_depth(where, clock, fps)
    ),
    "isf": Kind("isf:FILE", True, check_generator, open_generator),
    "ndi": Kind("ndi:NAME", True, check_ndi, lambda where, clock, fps, phase: open_ndi(where, clock)),
    "spout": Kind("spout:NAME", True, check_spout, lambda where, clock, fps, phase: open_spout(where, clock)),
    "syphon": Kind(
        "syphon:NAME", True, check_syphon, lambda where, clock, fps, phase: open_syphon(where, clock)
    ),
    "performer": Kind(
        "performer",
        False,
        lambda where: None,
        lambda where, clock, fps, phase: open_performer(clock, fps, phase),
    ),
}


def open_sense(spec: str, clock: Clock, fps_hint: float = FPS, phase: Phase | None = None) -> Sense:
    """Start the sense that `spec` names: `camera:0`, `camera:/dev/video2`, `clip:FILE`, `performer`, or
    `auto` for whatever there is.

    Raises SenseError when `spec` is none of these. A device that is absent is no error here: the
    sense is `lost` and keeps trying. `fps_hint` is asked of a camera and kept by the performer.
    """
    kind, where = _parse(choose_sense(spec).spec)
    return kind.open(where, clock, fps_hint, phase)


def check_sense(spec: str) -> None:
    """Try the sense before the show. Raises SenseError: what was asked, what was found, what to do."""
    kind, where = _parse(choose_sense(spec).spec)
    kind.check(where)


@dataclass(frozen=True, slots=True)
class Choice:
    """The sense that was chosen, and why, in words for the log."""

    spec: str
    reason: str


def choose_sense(
    spec: str,
    found: Callable[[], tuple[Camera, ...]] = cameras,
    opens: Callable[[str], bool] = delivers,
) -> Choice:
    """What `spec` means on this machine: for `auto` the first camera that opens, else the performer."""
    if spec != "auto":
        return Choice(spec, "asked for")
    seen = found()
    for camera in seen:
        if opens(camera.spec.removeprefix("camera:")):
            return Choice(camera.spec, f"the first camera that opens: {camera.name}")
    if seen:
        return Choice("performer", f"none of {len(seen)} cameras gives a frame: {seen[0].name}")
    return Choice("performer", "this machine has no camera")


def _parse(spec: str) -> tuple[Kind, str]:
    name, colon, where = spec.partition(":")
    kind = KINDS.get(name)
    if kind is None or bool(colon and where) != kind.takes:
        known = ", ".join(each.example for each in KINDS.values())
        raise SenseError(f"input '{spec}' is not known. Give one of: {known}, auto.")
    return kind, where
