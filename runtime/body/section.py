"""[body] of a scene: whether people are tracked, how, and what of it reaches the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from vivant.runtime.body.flow import SIGNALS as FLOW_SIGNALS
from vivant.runtime.body.reading import SIGNALS, Smoothing
from vivant.runtime.parameters import ROOT, Parameter

Track = Literal["off", "auto", "mediapipe", "tasks", "moving", "near"]
Part = Literal["mask", "pose", "hands"]
ON: Final = ROOT + "body/on"
PAINT: Final = ROOT + "body/paint"
OUTSIDE: Final = ROOT + "body/outside"
EDGE: Final = ROOT + "body/edge"
TRAIL_S: Final = ROOT + "body/trail_s"
PARAMETERS: Final = (
    Parameter(ON, "bool", "whether people are tracked now; while they are not, nobody is known", True),
    Parameter(
        PAINT,
        "choice",
        "what the student is given: everything, only people, only what is behind them, or people with trails",
        "all",
        choices=("all", "people", "background", "trails"),
    ),
    Parameter(
        OUTSIDE,
        "choice",
        "what stands where nothing is painted: grey, the frame blurred or dark, or the room without people",
        "blurred",
        choices=("grey", "blurred", "dark", "room"),
    ),
    Parameter(EDGE, "float", "how soft the edge of people is", 0.3),
    Parameter(TRAIL_S, "float", "how long people's trails last", 2.0, 0.1, 30.0, unit="s"),
)


class Body(BaseModel):
    """`track` off | auto | mediapipe | tasks (.task files in the folder `tasks`) | moving (a fixed camera, no
    model) | near (a depth camera's). `find` what is looked for, `rate_hz` how often, `people` how many poses
    at most (tasks). `pose_only`: the student is given a drawing, and no pixel of the camera goes further.
    `flow`: also the signals flow_x and flow_y. For the rest see Smoothing."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    track: Track = "off"
    find: tuple[Part, ...] = Field(("mask", "pose"), strict=False, min_length=1)
    rate_hz: float = Field(15.0, ge=1, le=60)
    tasks: str = ""
    people: int = Field(4, ge=1, le=8)
    pose_only: bool = False
    flow: bool = False
    hold_s: float = Field(0.6, ge=0, le=10)
    min_cutoff_hz: float = Field(1.2, gt=0, le=30)
    beta: float = Field(4.0, ge=0, le=100)

    @field_validator("tasks")
    @classmethod
    def _tasks(cls, text: str, info: ValidationInfo) -> str:
        folder: Path = info.context["folder"] if info.context else Path.cwd()
        if not text:
            return text
        path = folder / Path(text).expanduser()
        if not path.is_dir():
            raise ValueError(f"should be a folder of .task files; there is no folder {path}")
        return str(path)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.track == "off" and self.pose_only:
            raise ValueError('pose_only draws what is tracked: set track = "auto"')
        if self.track == "tasks" and not self.tasks:
            raise ValueError('track = "tasks" needs the folder of your .task files: tasks = "FOLDER"')
        return self

    @property
    def smoothing(self) -> Smoothing:
        return Smoothing(self.min_cutoff_hz, self.beta, self.hold_s)

    @property
    def on(self) -> bool:
        """Whether the frames are looked at in any way."""
        return self.track != "off" or self.flow


def body_parameters(table: Mapping[str, Any]) -> Iterator[Parameter]:
    """The parameters that a scene's [body] adds; none while it is off."""
    if table.get("track", "off") != "off":
        yield from PARAMETERS


def body_signals(table: Mapping[str, Any]) -> Iterator[str]:
    """The names of the signals that a scene's [body] brings."""
    if table.get("track", "off") != "off":
        yield from SIGNALS
    if table.get("flow") is True:
        yield from FLOW_SIGNALS
