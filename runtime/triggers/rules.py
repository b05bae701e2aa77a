"""What a trigger says: its conditions and actions as they stand in a scene, each with keys of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vivant.runtime.frames import Value
from vivant.runtime.tempo.contract import Quantum
from vivant.runtime.triggers.almanac import (
    LOCAL,
    MONDAY,
    Days,
    Recurrence,
    Span,
    Window,
    cron_of,
    hours_of,
    span_of,
    weekdays_of,
    zone_of,
)

STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
NAME: Final = r"[a-z0-9][a-z0-9_-]{0,31}"  # it becomes a part of an OSC address
LONGEST_S: Final = 31_536_000.0  # a year
LARGEST_SEED: Final = 9999

Seconds = Annotated[float, Field(ge=0, le=LONGEST_S)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Texts = tuple[Text, ...]


def _listed(value: object) -> object:
    """One text means the same as a list of it."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Declared(BaseModel):
    """A signal that comes over OSC at /vivant/signal/NAME: its range and what it means."""

    model_config = STRICT

    minimum: float = 0.0
    maximum: float = 1.0
    start: float = 0.0
    unit: str = ""
    meaning: str = "a signal of this scene"

    @model_validator(mode="after")
    def _ordered(self) -> Declared:
        if not self.minimum <= self.start <= self.maximum or self.minimum == self.maximum:
            raise ValueError("minimum should be below maximum, and start between them")
        return self


class DayKeys(BaseModel):
    """Keys that say which days are meant; all that are given must be fulfilled."""

    model_config = STRICT

    dates: Texts = ()
    weekday: Texts = ()
    recurs: str | None = None
    since: str | None = None

    @field_validator("dates", "weekday", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return _listed(value)

    @field_validator("dates")
    @classmethod
    def _dates(cls, texts: Texts) -> Texts:
        for text in texts:
            span_of(text)
        return texts

    @field_validator("weekday")
    @classmethod
    def _weekdays(cls, texts: Texts) -> Texts:
        for text in texts:
            weekdays_of(text)
        return texts

    @field_validator("recurs")
    @classmethod
    def _recurs(cls, text: str | None) -> str | None:
        if text is not None:
            Recurrence(text)
        return text

    @field_validator("since")
    @classmethod
    def _since(cls, text: str | None) -> str | None:
        if text is not None:
            dt.date.fromisoformat(text)
        return text

    def spans(self) -> tuple[Span, ...]:
        """The spans of `dates`."""
        return tuple(map(span_of, self.dates))

    def days(self) -> Days:
        """The days that are meant."""
        weekdays = frozenset().union(*map(weekdays_of, self.weekday)) if self.weekday else None
        since = MONDAY if self.since is None else dt.date.fromisoformat(self.since)
        recurrence = None if self.recurs is None else Recurrence(self.recurs, since)
        return Days(self.spans(), weekdays, recurrence)


class Campaign(DayKeys):
    """Days that have a name: an exhibition, Advent, every first Friday."""

    @model_validator(mode="after")
    def _something(self) -> Campaign:
        if not (self.dates or self.weekday or self.recurs):
            raise ValueError("should have dates, weekday or recurs")
        return self


class Calendar(BaseModel):
    """Whose clock the triggers read, and the days that have a name."""

    model_config = STRICT

    zone: str = LOCAL
    campaigns: dict[str, Campaign] = Field(default_factory=dict)

    @field_validator("zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        zone_of(name)
        return name


class Condition(BaseModel):
    """A condition; with `for_s` it is true once it has been true for so long without a break."""

    model_config = STRICT
    takes: ClassVar[tuple[str, ...]] = ()  # the keys by which a table is known to be of this kind

    for_s: Seconds = 0.0


class Threshold(Condition):
    """Keys of a number that is compared; `until` is where what became true ends (hysteresis)."""

    above: float | None = None
    below: float | None = None
    until: float | None = None

    def trouble(self) -> str | None:
        """What is wrong with the thresholds together."""
        if (self.above is None) == (self.below is None):
            return "should have above or below"
        if self.until is not None and self.above is not None and self.until > self.above:
            return f"until should not be over above = {self.above:g}: it is where it ends"
        if self.until is not None and self.below is not None and self.until < self.below:
            return f"until should not be under below = {self.below:g}: it is where it ends"
        return None


class SignalIs(Threshold):
    """What the senses say, the interaction intensity, the scene's age, or a signal over OSC."""

    takes = ("signal",)
    signal: Text

    @model_validator(mode="after")
    def _thresholds(self) -> SignalIs:
        trouble = self.trouble()
        if trouble is not None:
            raise ValueError(trouble)
        return self


class ParameterIs(Threshold):
    """What stands in the parameter tree, whoever set it."""

    takes = ("parameter",)
    parameter: Text
    equals: Value | None = None

    @model_validator(mode="after")
    def _thresholds(self) -> ParameterIs:
        if self.equals is None:
            trouble = self.trouble()
            if trouble is not None:
                raise ValueError(trouble.replace("above or", "equals, above or"))
        elif (self.above, self.below, self.until) != (None, None, None):
            raise ValueError("should have equals, or above or below, not both")
        return self


class When(DayKeys, Condition):
    """Hours (`time`), moments (`at`), days, and campaigns; all that are given must be fulfilled."""

    takes = ("time", "at", "weekday", "dates", "recurs", "campaign")
    time: Texts = ()
    at: Texts = ()
    campaign: Text | None = None

    @field_validator("time", "at", mode="before")
    @classmethod
    def _hours_list(cls, value: object) -> object:
        return _listed(value)

    @field_validator("time")
    @classmethod
    def _time(cls, texts: Texts) -> Texts:
        for text in texts:
            hours_of(text)
        return texts

    @field_validator("at")
    @classmethod
    def _at(cls, texts: Texts) -> Texts:
        for text in texts:
            cron_of(text)
        return texts

    @model_validator(mode="after")
    def _one_of_two(self) -> When:
        if self.time and self.at:
            raise ValueError("should have time or at, not both")
        if self.at and self.for_s:
            raise ValueError("at is one moment and lasts for nothing; leave for_s out")
        return self

    def windows(self) -> tuple[Window, ...]:
        """The hours that are meant; the whole day where none are given."""
        return tuple(map(hours_of, self.time)) or ((0, 24 * 60),)


class Dice(Condition):
    """True for the first half of every `every_s` seconds of the wall clock, with the odds of `chance`."""

    takes = ("every_s", "chance")
    every_s: Annotated[float, Field(ge=1, le=LONGEST_S)]
    chance: Annotated[float, Field(gt=0, le=1)] = 1.0


class Stands(Condition):
    """Another trigger stands: it fired, and its condition has not ended, or none else of its group fired."""

    takes = ("stands",)
    stands: Text


@dataclass(frozen=True, slots=True)
class Compound:
    """Conditions taken together; `word` is the key that they stand under."""

    word: str
    parts: tuple[Part, ...]
    for_s: float = 0.0


Leaf = SignalIs | ParameterIs | When | Dice | Stands
Part = Leaf | Compound
LEAVES: Final[tuple[type[Leaf], ...]] = (SignalIs, ParameterIs, When, Dice, Stands)
COMPOUND: Final = ("all", "any", "not")


class Pick(Enum):
    """A value that is found when the trigger fires."""

    NEXT = "next"
    RANDOM = "random"


class SetKeys(BaseModel):
    """An action on any parameter; one that is an action itself takes no `to`."""

    model_config = STRICT
    set: Text
    to: Value | None = None
    fade_s: Seconds | None = None


class StyleKeys(BaseModel):
    """An action on the style: a style or a medium of its own, "next" or "random"."""

    model_config = STRICT
    style: Text
    fade_s: Seconds | None = None


class AdapterKeys(BaseModel):
    """An action on the scale of an adapter."""

    model_config = STRICT
    adapter: Text
    scale: Annotated[float, Field(ge=0, le=1)] = 1.0
    fade_s: Seconds | None = None


class SeedKeys(BaseModel):
    """An action on the student's seed: a number, "next" or "random"."""

    model_config = STRICT
    seed: Value

    @field_validator("seed")
    @classmethod
    def _seed(cls, value: Value) -> Value:
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_SEED
        if not whole and value not in [pick.value for pick in Pick]:
            raise ValueError(f"should be next, random or a whole number in [0, {LARGEST_SEED}]")
        return value


class CueKeys(BaseModel):
    """An action on the cue list: a cue's name, "go" or "back"."""

    model_config = STRICT
    cue: Text


class SceneKeys(BaseModel):
    """An action on the scene: one of the programme's, or "home"."""

    model_config = STRICT
    scene: Text


ACTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "set": SetKeys,
    "style": StyleKeys,
    "adapter": AdapterKeys,
    "seed": SeedKeys,
    "cue": CueKeys,
    "scene": SceneKeys,
}


@dataclass(frozen=True, slots=True)
class Act:
    """One change of one parameter. `to` None presses an action; `fade_s` None is the parameter's own way.
    `key` is the key of the scene that asked for it."""

    key: str
    address: str
    to: Value | Pick | None
    fade_s: float | None = None


class Head(BaseModel):
    """The keys of a trigger. `when`, `do` and `after` are read by kind: see reading.py."""

    model_config = STRICT

    meaning: str = Field("", max_length=200)
    when: Any  # read by kind, not here
    do: Any
    after: Any = ()
    cooldown_s: Seconds = 0.0
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    group: Annotated[str, Field(pattern=f"^{NAME}$")] | None = None
    on: Quantum | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One trigger, checked. Of the rules of a `group` one at most stands; a higher `priority` goes before.
    What it does and undoes waits for the next beat or bar where there is `on`."""

    name: str
    when: Part
    do: tuple[Act, ...]
    after: tuple[Act, ...] = ()
    meaning: str = ""
    cooldown_s: float = 0.0
    priority: int = 0
    group: str | None = None
    on: Quantum | None = None
