"""What a scene says of ISF files: [effects.NAME], laid over the picture, and [transitions.NAME]."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

import vivant.shaders
from vivant.runtime.frames import VivantError
from vivant.runtime.isf.card import read_picture
from vivant.runtime.isf.header import IsfError, Shader, read_shader
from vivant.runtime.isf.inputs import MIX
from vivant.runtime.isf.slot import parameters_of, picture_inputs
from vivant.runtime.parameters import ROOT, Parameter

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
SHIPPED: Final = Path(vivant.shaders.__file__).parent / "isf"
EFFECT: Final = ROOT + "effect/"
TRANSITION: Final = ROOT + "transition/"
SOURCE: Final = ROOT + "source/"
INPUT: Final = "isf:"  # how a scene names a generator as its input
CHOOSE: Final = TRANSITION + "choose"
TIME_S: Final = TRANSITION + "time_s"
GO: Final = TRANSITION + "go"
NONE: Final = "none"
Text = Annotated[str, Field(strict=True)]
EffectName = Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


def unlike_its_addresses(name: str) -> str:
    """The name of a transition; ValueError for one that lies where all transitions are set."""
    if name in ("choose", "time_s", "go", NONE):
        raise ValueError("is a word of all transitions; give yours another name")
    return name


TransitionName = Annotated[EffectName, AfterValidator(unlike_its_addresses)]


class IsfScene(Protocol):
    """The part of a scene that is about ISF."""

    @property
    def input(self) -> str: ...

    @property
    def effects(self) -> Mapping[str, EffectOf]: ...

    @property
    def transitions(self) -> Mapping[str, TransitionOf]: ...


class EffectOf(BaseModel):
    """[effects.NAME]: a filter or a source. `file` from the scene's folder, or the name of one that ships;
    `on` whether it is there from the start; `at` "picture" works at the student's size, which is cheap,
    "screen" on everything that is shown; `images` picture files by input."""

    model_config = STRICT

    file: str
    on: bool = True
    at: Literal["picture", "screen"] = "picture"
    images: dict[str, Text] = Field(default_factory=dict)

    @field_validator("file")
    @classmethod
    def _file(cls, text: str, info: ValidationInfo) -> str:
        path = find_shader(text, folder_of(info))
        if checked(path).header.kind == "transition":
            raise ValueError("is a transition; write it under [transitions.NAME]")
        return str(path)

    @field_validator("images")
    @classmethod
    def _images(cls, images: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        return found_images(images, info)


class TransitionOf(BaseModel):
    """[transitions.NAME]: how the picture as it was goes over into the one that was asked for."""

    model_config = STRICT

    file: str
    images: dict[str, Text] = Field(default_factory=dict)

    @field_validator("file")
    @classmethod
    def _file(cls, text: str, info: ValidationInfo) -> str:
        path = find_shader(text, folder_of(info))
        if checked(path).header.kind != "transition":
            raise ValueError("has no startImage, endImage and progress, so it is no transition")
        return str(path)

    @field_validator("images")
    @classmethod
    def _images(cls, images: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        return found_images(images, info)


def files_in(
    effects: Mapping[str, EffectOf], transitions: Mapping[str, TransitionOf], looks_at: str
) -> list[Path]:
    """Every ISF file that a scene draws with."""
    named = [one.file for one in effects.values()] + [one.file for one in transitions.values()]
    if looks_at.startswith(INPUT):
        named.append(looks_at.removeprefix(INPUT))
    return [Path(file) for file in dict.fromkeys(named)]


def files_behind(scene: IsfScene) -> list[Path]:
    """Every file that ISF brings to a scene: shaders, the .vs beside them, the pictures that they read."""
    images = [one.images for one in scene.effects.values()] + [o.images for o in scene.transitions.values()]
    found = [Path(file) for each in images for file in each.values()]
    for path in files_in(scene.effects, scene.transitions, scene.input):
        beside = path.with_suffix(".vs")
        found += [path, *([beside] if beside.is_file() else []), *read_shader(path).header.images.values()]
    return list(dict.fromkeys(found))


def folder_of(info: ValidationInfo) -> Path:
    """The scene's folder."""
    return Path(info.context["folder"]) if info.context else Path.cwd()


def shipped() -> dict[str, Path]:
    """The ISF files that come with Vivant, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.fs"))}


def find_shader(text: str, folder: Path) -> Path:
    """The file that a scene in `folder` means. Raises ValueError listing those that ship."""
    known = shipped()
    path = folder / Path(text).expanduser()
    if path.is_file():
        return path
    if text in known:
        return known[text]
    near = difflib.get_close_matches(Path(text).stem, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise ValueError(f"there is no such file, and those that ship are {', '.join(known)}{hint}")


def shader_for(text: str, folder: Path) -> Shader:
    """The file that a scene in `folder` means, read. Raises ValueError where there is none, or none that can
    be used."""
    return checked(find_shader(text, folder))


def checked(path: Path) -> Shader:
    """The file at `path`. Raises ValueError where its header cannot be used."""
    try:
        return read_shader(path)
    except IsfError as error:
        raise ValueError(str(error)) from error


def found_images(images: Mapping[str, str], info: ValidationInfo) -> dict[str, str]:
    """The files of image inputs as whole paths, each looked at. Raises ValueError for one that is none."""
    found = {name: str(folder_of(info) / Path(file).expanduser()) for name, file in images.items()}
    if "file" in info.data:
        wanted = picture_inputs(read_shader(Path(info.data["file"])))
        for name in found:
            if name not in wanted:
                raise ValueError(
                    f"the shader has no image input '{name}'; it has {', '.join(wanted) or 'none'}"
                )
    for file in found.values():
        try:
            read_picture(Path(file))
        except VivantError as error:
            raise ValueError(str(error)) from error
    return found


def isf_parameters(table: Mapping[str, Any], folder: Path) -> Iterator[Parameter]:
    """The parameters that the sections of a scene's `table` add. What is wrong in it is passed over: it is
    said elsewhere."""
    for name, section in _sections(table, "effects"):
        shader = _shader_in(section, folder)
        if shader is not None and shader.header.kind != "transition":
            meaning = (
                f"how much of the effect {name} is seen: {shader.header.description or shader.path.stem}"
            )
            yield Parameter(EFFECT + f"{name}/{MIX}", "float", meaning, float(section.get("on") is not False))
            yield from parameters_of(shader, EFFECT + f"{name}/")
    found = {name: _shader_in(section, folder) for name, section in _sections(table, "transitions")}
    there = {name: one for name, one in found.items() if one is not None and one.header.kind == "transition"}
    if there:
        yield from _transition_parameters(tuple(there))
    for name, one in there.items():
        yield from parameters_of(one, TRANSITION + f"{name}/")
    yield from _source_parameters(table.get("input"), folder)


def _source_parameters(given: object, folder: Path) -> Iterator[Parameter]:
    if isinstance(given, str) and given.startswith(INPUT):
        shader = _shader_in({"file": given.removeprefix(INPUT)}, folder)
        if shader is not None and shader.header.kind == "source":
            yield from parameters_of(shader, SOURCE)


def _transition_parameters(names: tuple[str, ...]) -> Iterator[Parameter]:
    yield Parameter(
        CHOOSE, "choice", "how the picture goes over to another style", names[0], choices=(NONE, *names)
    )
    yield Parameter(TIME_S, "float", "how long a transition takes", 1.5, 0.1, 60.0, unit="s")
    yield Parameter(GO, "action", "let the transition run now, from the picture as it is")


def _sections(table: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    sections = table.get(key)
    for name, section in sections.items() if isinstance(sections, Mapping) else ():
        if isinstance(section, Mapping):
            yield str(name), section


def _shader_in(section: Mapping[str, Any], folder: Path) -> Shader | None:
    text = section.get("file")
    try:
        return shader_for(text, folder) if isinstance(text, str) else None
    except (ValueError, OSError, RuntimeError):
        return None
