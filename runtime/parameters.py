"""The parameters of a show: everything that can change while it runs, each described once.

All doors (OSC, scene files, the command line, the documentation page) read this one list.

What an argument becomes, by the kind of the parameter:

- float, int: any finite number; T and F count as 1 and 0; an int parameter takes the nearest whole number.
- bool: T, F, and the numbers 0 and 1.
- choice: a name (a string), or its index as a whole number. A choice made of numbers, such as
  1 | 2, is chosen by the number itself, never by an index.
- action: no argument, or one bool or number; 0 and F are the release of a button and do nothing.
- text: a string of printable characters; one that is too long is `out_of_range`, one that the scene's word
  guard does not let through is `denied`. It has no norm door.
- A string is never read as a number, so that "0.5" for a float is `wrong_type`. NaN and Inf are `not_finite`.
- A number that leaves the range by at most 1 % of the range is clamped, and counted; further out it is
  `out_of_range`. A difference that float32 alone explains is no clamping.
- `ADDRESS/norm` takes a number in [0, 1] over the range; for a bool 0.5 and more is true, for a choice it is
  the position in the list.
- Any other number of arguments is `wrong_arity`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from vivant.runtime.fades import CURVES
from vivant.runtime.frames import EMPTY, Value

Kind = Literal["float", "int", "bool", "choice", "action", "text"]
Reason = Literal[
    "unknown_address", "wrong_type", "out_of_range", "not_finite", "read_only", "wrong_arity", "denied"
]

ROOT: Final = "/vivant/"
STYLE: Final = "/vivant/style/"
ADAPTER: Final = "/vivant/adapter/"
ADAPTERS_FADE_S: Final = "/vivant/adapters/fade_s"
ADAPTERS_CURVE: Final = "/vivant/adapters/curve"
LOOK: Final = "/vivant/look/"
STATUS: Final = "/vivant/status/"
CHOOSE: Final = "/vivant/style/choose"
CYCLE_S: Final = "/vivant/style/cycle_s"
FADE_S: Final = "/vivant/style/fade_s"
RESET: Final = "/vivant/reset"
SCENE: Final = "/vivant/scene/choose"
SCENE_FADE_S: Final = "/vivant/scene/fade_s"
GO: Final = "/vivant/cues/go"
BACK: Final = "/vivant/cues/back"
GOTO: Final = "/vivant/cues/goto"
PANIC: Final = "/vivant/panic"
PANIC_RELEASE: Final = "/vivant/panic/release"
NORM: Final = "/norm"
HOUSE_STYLES: Final = ("oil", "ink", "watercolour", "stipple", "engraving", "mosaic", "glass", "coral")

CLAMP_SHARE: Final = (
    0.01  # how far outside, as a share of the range, is still taken for a rounding of the sender
)
FLOAT32_SHARE: Final = 1e-6  # 0.99 as a float32 is 0.99000001: no mistake of the sender at all
LARGEST_INT: Final = 2**31 - 1  # OSC's `i`
LARGEST_NUMBER: Final = 2**63  # OSC's `h`; what is beyond is nobody's value, and may not fit a float


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that can change. `minimum` and `maximum`, in `unit`, bound a float and an int, and `maximum`
    the characters of a text; `choices` are the names of a choice. With `acts` a value is an action as well:
    it is heard each time that it is set, also where it stays as it was."""

    address: str
    kind: Kind
    meaning: str
    default: Value = 0.0
    minimum: float = 0.0
    maximum: float = 1.0
    choices: tuple[str, ...] = ()
    unit: str = ""
    read_only: bool = False
    acts: bool = False

    @property
    def numbered(self) -> bool:
        """Whether the choices are numbers, so that a number means the choice and not its index."""
        return bool(self.choices) and all(choice.isdecimal() for choice in self.choices)

    def range_text(self) -> str:
        """The admitted values in words, `[-2, 2] EV` or `fit | fill`; the unit of what is only reported."""
        if self.read_only and not self.choices:
            return self.unit
        if self.kind in ("float", "int"):
            return f"[{self.minimum:g}, {self.maximum:g}] {self.unit}".rstrip()
        if self.kind == "text":
            return f"up to {self.maximum:g} characters"
        return {"bool": "0 | 1", "choice": " | ".join(self.choices), "action": "no value"}[self.kind]

    def norm(self, value: Value) -> float:
        """Where `value` lies in the parameter's range, in [0, 1]."""
        if self.kind == "choice":
            return self.choices.index(str(value)) / max(len(self.choices) - 1, 1)
        if self.kind == "bool":
            return float(value)
        return (float(value) - self.minimum) / (self.maximum - self.minimum)


def address_of(text: str) -> str:
    """A parameter's whole address; a leading /vivant/ may be left out."""
    return text if text.startswith("/") else ROOT + text


@dataclass(frozen=True, slots=True)
class AdapterSketch:
    """What the parameters need to know of an adapter: one line on it, and whether it is a medium of its own
    (`alone`) or goes with every style."""

    summary: str
    alone: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a value: taken as it was, clamped into the range, or refused for a reason."""

    verb: Literal["applied", "clamped", "refused"]
    value: Value = 0
    reason: Reason | None = None

    @property
    def taken(self) -> bool:
        """Whether the value is now in force."""
        return self.verb != "refused"


def refused(reason: Reason) -> Outcome:
    """The outcome of a value that is not taken."""
    return Outcome("refused", reason=reason)


def coerce(parameter: Parameter, args: Sequence[object], norm: bool = False) -> Outcome:
    """What `args` mean for `parameter`, or for its norm door, by the rules at the top of this module."""
    if parameter.read_only:
        return refused("read_only")
    if parameter.kind == "action" and not args:
        return Outcome("applied", True)
    if len(args) != 1:
        return refused("wrong_arity")
    argument = args[0]
    if parameter.kind == "text":
        return _text(parameter, argument)
    if norm:
        outcome = _number(argument, 0.0, 1.0)
        return (
            outcome
            if not outcome.taken
            else Outcome(outcome.verb, _from_norm(parameter, float(outcome.value)))
        )
    if parameter.kind == "choice":
        return _choice(parameter, argument)
    if parameter.kind == "action":
        outcome = _number(argument, -math.inf, math.inf)
        return outcome if not outcome.taken else Outcome("applied", outcome.value != 0)
    if parameter.kind == "bool":
        outcome = _number(argument, -math.inf, math.inf)
        if outcome.taken and outcome.value not in (0, 1):
            return refused("out_of_range")
        return outcome if not outcome.taken else Outcome("applied", bool(outcome.value))
    outcome = _number(argument, parameter.minimum, parameter.maximum)
    if outcome.taken and parameter.kind == "int":
        return Outcome(outcome.verb, math.floor(float(outcome.value) + 0.5))
    return outcome


def _number(argument: object, minimum: float, maximum: float) -> Outcome:
    if not isinstance(argument, bool | int | float):
        return refused("wrong_type")
    if isinstance(argument, float) and not math.isfinite(argument):
        return refused("not_finite")
    if abs(argument) > LARGEST_NUMBER:
        return refused("out_of_range")
    number = float(argument)
    nearest = min(max(number, minimum), maximum)
    outside, span = abs(number - nearest), maximum - minimum
    if outside > (CLAMP_SHARE + FLOAT32_SHARE) * span:
        return refused("out_of_range")
    return Outcome("applied" if outside <= FLOAT32_SHARE * span else "clamped", nearest)


def _text(parameter: Parameter, argument: object) -> Outcome:
    if not isinstance(argument, str) or not argument.isprintable():
        return refused("wrong_type")
    return Outcome("applied", argument) if len(argument) <= parameter.maximum else refused("out_of_range")


def _choice(parameter: Parameter, argument: object) -> Outcome:
    if isinstance(argument, str):
        known = argument in parameter.choices
        return Outcome("applied", argument) if known else refused("out_of_range")
    if isinstance(argument, bool) or not isinstance(argument, int | float):
        return refused("wrong_type")
    if isinstance(argument, float) and not math.isfinite(argument):
        return refused("not_finite")
    if argument != int(argument):
        return refused("wrong_type")
    if abs(argument) > LARGEST_NUMBER:
        return refused("out_of_range")
    if parameter.numbered:
        return _choice(parameter, str(int(argument)))
    known = 0 <= argument < len(parameter.choices)
    return Outcome("applied", parameter.choices[int(argument)]) if known else refused("out_of_range")


def _from_norm(parameter: Parameter, share: float) -> Value:
    if parameter.kind == "choice":
        return parameter.choices[round(share * (len(parameter.choices) - 1))]
    if parameter.kind == "bool":
        return share >= 0.5
    value = parameter.minimum + share * (parameter.maximum - parameter.minimum)
    return math.floor(value + 0.5) if parameter.kind == "int" else value


def parameters_for(
    styles: Sequence[str] = HOUSE_STYLES,
    adapters: Mapping[str, AdapterSketch] = EMPTY,
    own: Sequence[Parameter] | None = None,
) -> tuple[Parameter, ...]:
    """Every parameter of a show whose student paints in `styles` and may wear `adapters`, in the order of the
    documentation page. `own` are those of a student without styles and planes (vivant.runtime.prompting).

    Raises ValueError when a style is named like one of the fixed addresses beside it.
    """
    if own is not None:
        smooth = _motion()[:1]
        return (*own, *_adapters(adapters), *smooth, *_look(), *_present(), *_status())
    if not styles or {"choose", "fade_s", "cycle_s"} & {*styles, *adapters}:
        raise ValueError(f"a student needs styles, none named choose, fade_s or cycle_s, not {list(styles)}")
    media = (*styles, *(name for name, sketch in adapters.items() if sketch.alone))
    return (
        *_student(),
        *_styles(tuple(styles), media),
        *_adapters(adapters),
        *_motion(),
        *_look(),
        *_present(),
        *_status(),
    )


def _student() -> tuple[Parameter, ...]:
    return (
        Parameter(
            ROOT + "student/strength",
            "float",
            "img2img strength: how freely the student repaints what it sees",
            0.25,
        ),
        Parameter(
            ROOT + "student/steps", "choice", "denoising steps for each picture", "1", choices=("1", "2")
        ),
        Parameter(
            ROOT + "student/seed",
            "int",
            "seed of the noise that strength adds",
            0,
            maximum=9999,
        ),
    )


def _adapters(adapters: Mapping[str, AdapterSketch]) -> Iterator[Parameter]:
    for name, sketch in adapters.items():
        yield adapter_parameter(name, sketch)
    yield Parameter(
        ADAPTERS_FADE_S,
        "float",
        "how long an adapter's scale takes to where it is sent; 0 is there at the next picture",
        0.0,
        maximum=60.0,
        unit="s",
    )
    yield Parameter(
        ADAPTERS_CURVE, "choice", "how adapters' scales go there", "smooth", choices=tuple(CURVES)
    )


def adapter_parameter(name: str, sketch: AdapterSketch) -> Parameter:
    """The parameter of one adapter."""
    return Parameter(ADAPTER + name, "float", f"scale of the adapter {name}: {sketch.summary}")


def _styles(styles: tuple[str, ...], media: tuple[str, ...]) -> tuple[Parameter, ...]:
    weights = (
        Parameter(
            STYLE + name, "float", f"weight of {name}; the weights are shared out to a sum of 1", weight
        )
        for name, weight in zip(styles, (1.0, *[0.0] * len(styles)), strict=False)
    )
    return (
        *weights,
        Parameter(
            CHOOSE, "choice", "go to one style or adapter alone, over fade_s", styles[0], choices=media
        ),
        Parameter(FADE_S, "float", "how long choose takes", 1.5, maximum=30, unit="s"),
        Parameter(
            CYCLE_S, "float", "choose the next style by itself so often; 0 never", 0.0, maximum=3600, unit="s"
        ),
    )


def _motion() -> tuple[Parameter, ...]:
    return (
        Parameter(ROOT + "motion/smooth", "float", "smoothing of the input over time; 0 is none", 0.5),
        Parameter(
            ROOT + "motion/hold",
            "float",
            "how long strokes keep their direction; 0 follows each frame",
            0.9,
            0.0,
            0.99,
        ),
        Parameter(
            ROOT + "motion/carry", "float", "how far strokes go along with what moves; 0 not at all", 1.0
        ),
    )


def _look() -> tuple[Parameter, ...]:
    return (
        Parameter(LOOK + "exposure", "float", "brightness", 0.0, -2.0, 2.0, unit="EV"),
        Parameter(LOOK + "contrast", "float", "contrast; 1 leaves it", 1.0, maximum=2.0),
        Parameter(
            LOOK + "saturation", "float", "strength of colour; 0 is grey, 1 leaves it", 1.0, maximum=2.0
        ),
        Parameter(LOOK + "temperature", "float", "cool (-1) to warm (1)", 0.0, -1.0, 1.0),
        Parameter(LOOK + "grain", "float", "film grain", 0.0),
        Parameter(LOOK + "vignette", "float", "darkening toward the corners", 0.0),
    )


def _present() -> tuple[Parameter, ...]:
    return (
        Parameter(
            ROOT + "present/crossfade",
            "float",
            "fade between pictures; 0 cuts, 1 takes the whole interval",
            0.5,
        ),
        Parameter(
            ROOT + "present/aspect",
            "choice",
            "show all with borders, or fill and crop",
            "fit",
            choices=("fit", "fill"),
        ),
        Parameter(ROOT + "present/mirror", "bool", "left and right exchanged, as in a mirror", False),
        Parameter(ROOT + "present/blank", "bool", "the operator's black screen", False),
        Parameter(PANIC, "action", "black at the next refresh, until panic/release and nothing else"),
        Parameter(PANIC_RELEASE, "action", "the end of the panic; triggers cannot do it"),
        Parameter(RESET, "action", "every value back to what it was at the start of the show"),
    )


def _status() -> tuple[Parameter, ...]:
    def count(name: str, meaning: str, unit: str = "") -> Parameter:
        return Parameter(STATUS + name, "int", meaning, 0, maximum=LARGEST_INT, unit=unit, read_only=True)

    def duration(name: str, meaning: str, unit: str = "ms") -> Parameter:
        return Parameter(STATUS + name, "float", meaning, 0.0, maximum=1e9, unit=unit, read_only=True)

    verdicts = ("hold", "pass", "soften", "blank")
    return (
        duration("uptime_s", "since the start of the show", "s"),
        duration("capture_to_present_ms", "from the captured frame to the end of its first draw, recent p95"),
        duration("render_ms", "one picture in the render process, recent p95"),
        duration("present_interval_ms", "from one refresh to the next, recent p99"),
        Parameter(
            STATUS + "verdict",
            "choice",
            "the guard's newest judgement",
            "hold",
            choices=verdicts,
            read_only=True,
        ),
        count("panic", "1 while an operator's panic holds the screen black"),
        count("size_px", "width of the student's picture, as the quality ladder chose it", "px"),
        count("presented", "pictures shown"),
        count("held", "pictures that the guard held back"),
        count("late", "pictures that missed the budget"),
        count("restarts", "times the render process was started again"),
        duration("flash_damped", "share of the screen on which the flash guard damps now", ""),
        count("flash_engaged", "times the flash guard began to damp"),
        duration("intensity", "how much people have been doing lately, from 0 to 1", ""),
        count("triggered", "times that triggers fired"),
        count("fallback", "which of the scene's fallbacks the guard has brought about; 0 is none"),
        count("critic", "1 while the critic holds"),
        duration("critic_ms", "from a picture to the critic's word on it, recent p95"),
        count("adapters", "adapters of the scene's own that can be worn"),
        count("adapters_refused", "adapters that were refused or quarantined"),
        count("refused", "messages refused at the doors"),
    )
