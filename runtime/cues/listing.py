"""A scene's cue list as it stands in the file, and everything that is wrong with it, at once and by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vivant.engines.diffusion.wishes import PROMPT
from vivant.runtime.fades import CURVES
from vivant.runtime.frames import EMPTY, Value
from vivant.runtime.parameters import ADAPTER, CHOOSE, address_of
from vivant.runtime.problems import key_text, problem, problems_of
from vivant.runtime.tempo.contract import Quantum
from vivant.runtime.triggers.almanac import CLOCK_TIME
from vivant.runtime.triggers.reading import SEED
from vivant.runtime.triggers.rules import LARGEST_SEED, NAME

START: Final = "start"
"""What the show began with: it stands before the first cue, and can be gone to like one."""
RESERVED: Final = (START, "go", "back")
MOST_CUES: Final = 200
MOST_VALUES: Final = 200  # of one cue
LONGEST_FADE_S: Final = 3600.0
LONGEST_WAIT_S: Final = 86_400.0
WAY: Final = frozenset({"to", "fade_s", "curve"})

FadeSeconds = Annotated[float, Field(ge=0, le=LONGEST_FADE_S)]
WaitSeconds = Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Path = tuple[str | int, ...]


def _curve(name: str | None) -> str | None:
    if name is not None and name not in CURVES:
        raise ValueError(f"should be one of {', '.join(CURVES)}")
    return name


class WayKeys(BaseModel):
    """A value of `set` with a fade of its own: `{ to = 1.2, fade_s = 0.5, curve = "early" }`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    to: Any  # whatever TOML can hold; the tree judges it
    fade_s: FadeSeconds | None = None
    curve: str | None = None

    _known = field_validator("curve")(_curve)


class CueKeys(BaseModel):
    """The keys of one [[cues]]; docs/cues.md explains them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    name: Name
    note: Annotated[str, Field(max_length=200)] = ""
    style: str | None = None
    adapter: str | dict[str, float] | None = None
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = None
    prompt: str | None = None
    set: Any = None  # read by _values, not here
    fade_s: FadeSeconds = 2.0
    curve: str = "smooth"
    wait_s: WaitSeconds = 0.0
    follow_s: WaitSeconds | None = None
    follow: str | None = None
    on: Quantum | None = None
    at: tuple[str, ...] = ()

    _known = field_validator("curve")(_curve)

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError("means something already; give the cue another name")
        return name

    @field_validator("at", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @field_validator("at")
    @classmethod
    def _times(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(CLOCK_TIME.fullmatch(text) for text in texts):
            raise ValueError("write times of day as 20:30")
        return texts


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a cue sends one value; `fade_s` and `curve` where they are not the cue's own. `key` is where the
    scene says so."""

    value: Value
    fade_s: float | None = None
    curve: str | None = None
    key: Path = ()


@dataclass(frozen=True, slots=True)
class Cue:
    """One cue, checked by itself; `aims` by address, norm doors too. It goes `wait_s` after it is called and
    then `on` the next beat or bar; `follow_s` after it went, `follow` goes (None: the next of the list).
    `at` are minutes of the day."""

    name: str
    note: str = ""
    aims: Mapping[str, Aim] = field(default_factory=lambda: EMPTY)
    fade_s: float = 2.0
    curve: str = "smooth"
    wait_s: float = 0.0
    follow_s: float | None = None
    follow: str | None = None
    on: Quantum | None = None
    at: tuple[int, ...] = ()


def read_cues(tables: object) -> tuple[tuple[Cue, ...], list[str]]:
    """Every cue of a scene's `cues` that could be read, in their order, and what is wrong with the list.
    Cues that were read before stay as they are."""
    if not isinstance(tables, list | tuple):
        return (), [problem(("cues",), tables, "input should be a list of tables, [[cues]]")]
    if len(tables) > MOST_CUES:
        return (), [problem(("cues",), len(tables), f"a scene has {MOST_CUES} cues at most")]
    problems: list[str] = []
    found = [
        one if isinstance(one, Cue) else _cue(one, ("cues", at), problems) for at, one in enumerate(tables)
    ]
    cues = tuple(one for one in found if one is not None)
    if len(cues) == len(found):
        problems += _together(cues)
    return cues, problems


def _cue(table: object, path: Path, problems: list[str]) -> Cue | None:
    if not isinstance(table, dict):
        problems.append(problem(path, table, "input should be a table"))
        return None
    aims = _aims(table, path, problems)
    try:
        keys = CueKeys.model_validate(table)
    except ValidationError as error:
        problems += problems_of(error, CueKeys, path)
        return None
    minutes = tuple(int(text[:-3]) * 60 + int(text[-2:]) for text in keys.at)
    return Cue(
        keys.name,
        keys.note,
        aims,
        keys.fade_s,
        keys.curve,
        keys.wait_s,
        keys.follow_s,
        keys.follow,
        keys.on,
        minutes,
    )


def _together(cues: tuple[Cue, ...]) -> Iterator[str]:
    """What is wrong with cues that are right one by one."""
    names = [cue.name for cue in cues]
    for at, cue in enumerate(cues):
        if cue.name in names[:at]:
            yield problem(("cues", at, "name"), cue.name, "is the name of an earlier cue too")
        if cue.follow is not None and cue.follow not in (START, *names):
            yield problem(("cues", at, "follow"), cue.follow, "there is no cue of this name")
        elif cue.follow is not None and cue.follow_s is None:
            yield f"{key_text(('cues', at, 'follow_s'))}: is missing; after how long {cue.follow} follows"
    if cues and cues[-1].follow_s is not None and cues[-1].follow is None:
        where = key_text(("cues", len(cues) - 1, "follow"))
        yield f"{where}: is missing; nothing comes after the last cue, so say which cue follows"


def _aims(table: dict[str, Any], path: Path, problems: list[str]) -> dict[str, Aim]:
    """The values of a cue by address: those with keys of their own first, then those of `set`."""
    aims: dict[str, Aim] = {}
    given = table.get("set", {})
    if not isinstance(given, Mapping):
        problems.append(problem((*path, "set"), given, "input should be a table"))
        given = {}
    for address, aim in (*_named(table, path), *_values(given, path, problems)):
        if address in aims:
            problems.append(problem(aim.key, aim.value, "is set twice"))
        elif len(aims) < MOST_VALUES:
            aims[address] = aim
        else:
            problems.append(problem(aim.key, aim.value, f"a cue has {MOST_VALUES} values at most"))
            break
    return aims


def _named(table: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Aim]]:
    """The values that have keys of their own; one of a wrong type is another problem."""
    for key, address in (("style", CHOOSE), ("seed", SEED), ("prompt", PROMPT)):
        if isinstance(table.get(key), str if key != "seed" else int):
            yield address, Aim(table[key], key=(*path, key))
    worn = table.get("adapter")
    for name, scale in {worn: 1.0}.items() if isinstance(worn, str) else dict(_table(worn)).items():
        yield ADAPTER + name, Aim(scale, key=(*path, "adapter", name))


def _table(inner: object) -> Mapping[str, Any]:
    return inner if isinstance(inner, Mapping) else {}


def _values(table: Mapping[str, Any], path: Path, problems: list[str]) -> Iterator[tuple[str, Aim]]:
    """Every value of `set`: its keys are whole addresses, or tables that nest as the addresses do below
    /vivant/. A table with `to` is one value with a fade of its own. A stack and no recursion: dotted keys
    nest without end."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((key,), one) for key, one in reversed([*table.items()])]
    while waiting:
        keys, value = waiting.pop()
        where: Path = (*path, "set", *keys)
        address = address_of("/".join(keys))
        if isinstance(value, dict) and "to" in value and {*value} <= WAY:
            try:
                way = WayKeys.model_validate(value)
            except ValidationError as error:
                problems += problems_of(error, WayKeys, where)
                continue
            yield address, Aim(way.to, way.fade_s, way.curve, where)
        elif isinstance(value, dict) and value:
            waiting.extend(((*keys, key), inner) for key, inner in reversed([*value.items()]))
        else:
            yield address, Aim(value, key=where)
