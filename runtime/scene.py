"""A scene: one TOML file that says everything about a piece, checked in full before a window opens."""

from __future__ import annotations

import contextlib
import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    ValidationInfo,
    field_validator,
)

import vivant.scenes
from vivant.engines.card import Card
from vivant.engines.contract import Precision
from vivant.engines.registry import BACKENDS
from vivant.engines.student import find
from vivant.runtime.adapters.found import worn_by
from vivant.runtime.aliases import alias_problems
from vivant.runtime.body.section import Body
from vivant.runtime.cues.listing import Cue, read_cues
from vivant.runtime.cues.tracking import disagreements as cue_disagreements
from vivant.runtime.drives import Drive, drive_problems
from vivant.runtime.frames import Value, VivantError
from vivant.runtime.isf.section import EffectName, EffectOf, TransitionName, TransitionOf, shader_for
from vivant.runtime.keeping import Guards, Words
from vivant.runtime.midi.section import Midi, midi_problems
from vivant.runtime.osc_section import Osc
from vivant.runtime.outputs.registry import parse as parse_output
from vivant.runtime.parameters import (
    ADAPTER,
    HOUSE_STYLES,
    ROOT,
    STYLE,
    AdapterSketch,
    Parameter,
    parameters_for,
)
from vivant.runtime.problems import problem, problems_of, report
from vivant.runtime.programme import Programme
from vivant.runtime.prompting import prompting
from vivant.runtime.scene_signals import own_parameters, sensed_by, table_in
from vivant.runtime.senses.registry import KINDS
from vivant.runtime.signals import OWN
from vivant.runtime.sound.section import Sound
from vivant.runtime.tempo.parameters import Tempos, tempo_parameters
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.agreement import disagreements
from vivant.runtime.triggers.reading import Reader
from vivant.runtime.triggers.rules import NAME, Calendar, Declared, Rule

SHIPPED: Final = Path(vivant.scenes.__file__).parent
LARGEST_FILE: Final = 1_000_000  # bytes; a scene is a page of text
STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

Side = Annotated[int, Field(strict=True, ge=256, le=1024, multiple_of=32)]
Pixels = Annotated[int, Field(strict=True, ge=16, le=16384)]
Text = Annotated[str, Field(strict=True)]
SignalName = Annotated[str, Field(strict=True, pattern=f"^{NAME}$")]


@dataclass(frozen=True, slots=True)
class Assignment:
    """One value of [parameters]: the keys that led to it, the address that they mean."""

    path: tuple[str, ...]
    address: str
    value: Any  # whatever TOML can hold; the tree judges it


class Scene(BaseModel):
    """What a piece is. Sizes are (width, height) in pixels; `parameters` are starting values by OSC address;
    a clip in `input` has an absolute path. `refresh_hz` counts only where there is no display."""

    model_config = STRICT

    title: str = Field(min_length=1)
    summary: str = ""
    input: str = "auto"
    student: str = Field("house", validate_default=True)
    adapters: tuple[str, ...] = Field((), strict=False)
    backend: str = "auto"
    precision: Precision = "int8"
    size: tuple[Side, Side] = Field((384, 384), strict=False)
    budget_ms: float = Field(30.0, gt=0, le=1000)
    ladder: bool = True
    ladder_sizes: tuple[Side, ...] = Field((256, 320, 384, 448, 512), strict=False, min_length=1)
    window_size: tuple[Pixels, Pixels] = Field((960, 960), strict=False)
    fullscreen: bool = False
    monitor: int = Field(0, ge=0, le=63)
    refresh_hz: float = Field(60.0, ge=1, le=480)
    osc: Osc = Field(default_factory=lambda: Osc.model_validate({}))
    parameters: dict[str, Value] = Field(default_factory=dict)
    calendar: Calendar = Field(default_factory=lambda: Calendar.model_validate({}))
    signals: dict[SignalName, Declared] = Field(default_factory=dict)
    triggers: dict[str, InstanceOf[Rule]] = Field(default_factory=dict)
    cues: tuple[InstanceOf[Cue], ...] = ()
    programme: Programme = Field(default_factory=lambda: Programme.model_validate({}))
    body: Body = Field(default_factory=lambda: Body.model_validate({}))
    sound: Sound = Field(default_factory=lambda: Sound.model_validate({}))
    drives: dict[SignalName, Drive] = Field(default_factory=dict)
    tempo: Tempos = Field(default_factory=lambda: Tempos.model_validate({}))
    effects: dict[EffectName, EffectOf] = Field(default_factory=dict)
    transitions: dict[TransitionName, TransitionOf] = Field(default_factory=dict)
    midi: Midi = Field(default_factory=lambda: Midi.model_validate({}))
    guard: Guards = Field(default_factory=lambda: Guards.model_validate({}))
    words: Words = Field(default_factory=lambda: Words.model_validate({}))
    audit: str = "auto"
    outputs: tuple[Text, ...] = Field((), strict=False)

    @field_validator("input")
    @classmethod
    def _input(cls, text: str, info: ValidationInfo) -> str:
        folder: Path = info.context["folder"] if info.context else Path.cwd()
        return _input_in(text, folder)

    @field_validator("student")
    @classmethod
    def _student(cls, name: str) -> str:
        try:
            Card.read(find(name))
        except VivantError as error:
            raise ValueError(str(error)) from error
        return name

    @field_validator("adapters")
    @classmethod
    def _adapters(cls, files: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        folder: Path = info.context["folder"] if info.context else Path.cwd()
        paths = _adapter_files(files, folder)
        if "student" in info.data:
            try:
                worn_by(info.data["student"], paths)
            except VivantError as error:
                raise ValueError(str(error)) from error
        return tuple(paths)

    @field_validator("midi")
    @classmethod
    def _midi(cls, midi: Midi, info: ValidationInfo) -> Midi:
        folder: Path = info.context["folder"] if info.context else Path.cwd()
        return midi.model_copy(update={"map": str(folder / _at_home(Path(midi.map))) if midi.map else ""})

    @field_validator("guard")
    @classmethod
    def _guard(cls, guard: Guards, info: ValidationInfo) -> Guards:
        if "student" in info.data and (guard.files or guard.fallbacks):
            card = Card.read(find(info.data["student"]))
            trouble = guard.problems(card.hash, tuple(card.styles))
            if trouble:
                raise ValueError(trouble)
        return guard

    @field_validator("words")
    @classmethod
    def _words(cls, words: Words, info: ValidationInfo) -> Words:
        if words.denied_concepts and "student" in info.data:
            card = Card.read(find(info.data["student"]))
            if card.diffusion is None:
                raise ValueError(
                    f"denied_concepts: student {card.name} takes no prompts, so there is no text encoder to "
                    "hold them against. Take it out"
                )
        return words

    @field_validator("outputs")
    @classmethod
    def _outputs(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        for spec in specs:
            try:
                parse_output(spec)
            except VivantError as error:
                raise ValueError(str(error)) from error
        return specs

    @field_validator("audit")
    @classmethod
    def _audit(cls, text: str, info: ValidationInfo) -> str:
        folder: Path = info.context["folder"] if info.context else Path.cwd()
        return text if text in ("auto", "off") else str(folder / _at_home(Path(text)))

    @field_validator("backend")
    @classmethod
    def _backend(cls, name: str) -> str:
        names = ("auto", *BACKENDS)
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"should be one of {', '.join(names)}{hint}")
        return name


def load_scene(path: Path) -> Scene:
    """Read and check a scene file. Raises VivantError with every problem of the file at once."""
    return _checked(_read(path), path.resolve().parent, str(path))


def change_scene(scene: Scene, changes: Mapping[str, object]) -> Scene:
    """The scene with what the command line asks for, by key ("input", "osc.listen"), checked the same way.

    Clip paths are relative to the working directory. Raises VivantError like `load_scene`.
    """
    table = scene.model_dump() | {"triggers": scene.triggers, "cues": scene.cues}
    for key, value in changes.items():
        *outer, last = key.split(".")
        place = table
        for name in outer:
            place = place[name]
        place[last] = value
    return _checked(table, Path.cwd(), "command line")


def tree_of(scene: Scene) -> Tree:
    """The parameter tree of the scene's student, with the values that the scene starts with."""
    own = own_parameters(scene.model_dump(exclude={"triggers", "cues"}), scene.triggers, scene.cues)
    tree = Tree((*parameters_of(scene.student, scene.adapters), *own))
    tree.words = scene.words.guard()
    tree.start_with(scene.parameters, "scene")
    return tree


def shipped() -> dict[str, Path]:
    """The scenes that come with Vivant, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_scene(name_or_path: str) -> Path:
    """The file of a scene: a path, or the name of one that ships. Raises VivantError listing them."""
    scenes, path = shipped(), Path(name_or_path).expanduser()
    if path.is_file():
        return path
    if name_or_path in scenes:
        return scenes[name_or_path]
    near = difflib.get_close_matches(path.stem, scenes, n=1)
    hint = f" Run: vivant run {near[0]}" if near else ""
    names = ", ".join(scenes)
    raise VivantError(
        f"there is no scene {name_or_path}: no such file, and the scenes that ship are {names}.{hint}"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise VivantError(f"{path} is larger than {LARGEST_FILE} bytes; that is no scene")
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise VivantError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise VivantError(report(str(path), [f"byte {error.start}: not UTF-8 text"])) from error
    except RecursionError as error:
        raise VivantError(report(str(path), ["brackets are nested too deeply"])) from error
    except ValueError as error:  # TOMLDecodeError; also a number with thousands of digits
        raise VivantError(report(str(path), [_syntax(str(error))])) from error


def _syntax(message: str) -> str:
    """tomllib's `What (at line 3, column 5)` with the place in front."""
    what, _, place = message.partition(" (at ")
    what = what[:1].lower() + what[1:]
    return f"{place.removesuffix(')')}: {what}" if place else what


def _checked(table: dict[str, Any], folder: Path, source: str) -> Scene:
    given = table.get("parameters")
    assignments = list(_assignments(given)) if isinstance(given, dict) else []
    files = _adapter_files(table.get("adapters"), folder)
    reader = Reader()
    rules = reader.rules(table.get("triggers", {}))
    cues, cue_problems = read_cues(table.get("cues", ()))
    own = tuple(own_parameters(table, rules, cues, folder))
    problems = _parameter_problems(assignments, table.get("student", "house"), files, own)
    if isinstance(given, dict):
        table = table | {"parameters": {}}
    problems += [*reader.problems, *cue_problems, *_act_problems(table, rules, cues, files, own)]
    problems += _map_problems(table, files, own, folder)
    try:
        scene = Scene.model_validate(table | {"triggers": rules, "cues": cues}, context={"folder": folder})
    except ValidationError as error:
        raise VivantError(report(source, problems_of(error, Scene) + problems)) from error
    if problems:
        raise VivantError(report(source, problems))
    return scene.model_copy(update={"parameters": {one.address: one.value for one in assignments}})


def _assignments(table: Mapping[str, Any]) -> Iterator[Assignment]:
    """Every value of [parameters]: keys are whole addresses, or tables that nest as the addresses do below
    /vivant/. A stack and no recursion: dotted keys nest without end."""
    waiting: list[tuple[tuple[str, ...], Any]] = [
        ((key,), value) for key, value in reversed([*table.items()])
    ]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting.extend(((*path, key), inner) for key, inner in reversed([*value.items()]))
        else:
            address = "/".join(path)
            yield Assignment(path, address if address.startswith("/") else ROOT + address, value)


def _adapter_files(named: object, folder: Path) -> list[str]:
    """The files and folders under a scene's key `adapters`; none where it is not even a list of texts."""
    if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
        return []
    return [str(folder / _at_home(Path(name))) for name in named]


def _at_home(path: Path) -> Path:
    with contextlib.suppress(RuntimeError):  # nobody of the name in ~name: then there is no such file either
        return path.expanduser()
    return path


def _parameter_problems(
    assignments: Sequence[Assignment], student: object, adapters: Sequence[str], own: Sequence[Parameter]
) -> list[str]:
    """What the parameter tree of the student and the scene's `own` says against the values. That a student
    is unknown is another problem; its styles and adapters are then not judged."""
    try:
        parameters = parameters_of(str(student), adapters)
    except VivantError:
        parameters = (*parameters_for(HOUSE_STYLES), *tempo_parameters())
        assignments = [one for one in assignments if not one.address.startswith((STYLE, ADAPTER))]
    tree, seen, problems = Tree((*parameters, *own)), set[str](), []
    for one in assignments:
        trouble = "is set twice" if one.address in seen else tree.problem(one.address, one.value)
        seen.add(one.address)
        if trouble is not None:
            problems.append(problem(("parameters", *one.path), one.value, trouble))
    return problems


def _act_problems(
    table: Mapping[str, Any],
    rules: Mapping[str, Rule],
    cues: Sequence[Cue],
    adapters: Sequence[str],
    own: Sequence[Parameter],
) -> list[str]:
    """What the student's parameters, the signals and the campaigns say against triggers and cues; nothing
    while the student is unknown, which is another problem."""
    signals = table_in(table, "signals")
    campaigns = table_in(table_in(table, "calendar"), "campaigns")
    try:
        parameters = parameters_of(str(table.get("student", "house")), adapters)
    except VivantError:
        return []
    tree = Tree((*parameters, *own))
    sensed = sensed_by(table)
    fighting = disagreements(rules, tree, campaigns, signals, sensed)
    driving = drive_problems(table_in(table, "drives"), tree, (*sensed, *OWN, *signals))
    return [*fighting, *cue_disagreements(cues, tree), *driving]


def _map_problems(
    table: Mapping[str, Any], adapters: Sequence[str], own: Sequence[Parameter], folder: Path
) -> list[str]:
    """What the parameters say against other names for them, and against a MIDI map; nothing while the student
    is unknown."""
    aliases, midi = table_in(table_in(table, "osc"), "aliases"), table_in(table, "midi")
    if not aliases and not midi:
        return []
    try:
        parameters = parameters_of(str(table.get("student", "house")), adapters)
    except VivantError:
        return []
    tree = Tree((*parameters, *own))
    return [*alias_problems(aliases, tree), *midi_problems(midi, folder, tree)]


def parameters_of(student: str, adapters: Sequence[str] = ()) -> tuple[Parameter, ...]:
    """The parameters of a show with a student and the adapters it may wear: those that come with vivant, the
    files named, and those in the folders named that fit. Raises VivantError when a named file does not."""
    card, worn, _ = worn_by(student, adapters)
    sketches = {name: AdapterSketch(one.summary, one.alone) for name, one in worn.items()}
    own = None if card.diffusion is None else prompting(card.diffusion)
    return (*parameters_for(card.styles, sketches, own), *tempo_parameters())


def _input_in(text: str, folder: Path) -> str:
    """An input as the senses take it, with its clip's path made absolute from `folder`."""
    name, colon, where = text.partition(":")
    if text != "auto" and (name not in KINDS or bool(colon and where) != KINDS[name].takes):
        examples = ", ".join(kind.example for kind in KINDS.values())
        raise ValueError(f"should be one of {examples}, auto")
    if name == "isf":
        return f"isf:{shader_for(where, folder).path}"
    if name != "clip":
        return text
    try:
        path = folder / os.path.expandvars(Path(where).expanduser())
        found = path.is_file()
    except (OSError, RuntimeError) as error:  # too long for a path; no such person in ~person
        raise ValueError(f"is no path of this machine: {error}") from error
    if not found:
        raise ValueError(f"there is no file {path}")
    return f"clip:{path}"
