"""A programme: the scenes that a running show can change to; its window, doors and sound stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from vivant.runtime.frames import VivantError
from vivant.runtime.parameters import SCENE, SCENE_FADE_S, Parameter
from vivant.runtime.triggers.rules import NAME

HOME: Final = "home"
"""The scene that the show was started with."""
MOST_SCENES: Final = 32
LONGEST_FADE_S: Final = 60.0


class Programme(BaseModel):
    """[programme]: `scenes` are files, from this scene's folder, or names of scenes that ship; each is called
    by its file's name. `fade_s` is how long values take from one scene to the next."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    scenes: tuple[Annotated[str, Field(strict=True)], ...] = Field((), strict=False, max_length=MOST_SCENES)
    fade_s: float = Field(2.0, ge=0, le=LONGEST_FADE_S)

    @field_validator("scenes")
    @classmethod
    def _found(cls, files: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        from vivant.runtime.scene import find_scene

        folder: Path = info.context["folder"] if info.context else Path.cwd()
        paths: list[Path] = []
        for file in files:
            beside = folder / Path(file).expanduser()
            try:
                path = beside if beside.is_file() else find_scene(file)
            except VivantError as error:
                raise ValueError(str(error)) from error
            if not re.fullmatch(NAME, path.stem) or path.stem == HOME:
                raise ValueError(f"{path.name}: its name becomes an OSC value: a-z, 0-9, - and _, not {HOME}")
            if path.stem in [known.stem for known in paths]:
                raise ValueError(f"two scenes are called {path.stem}")
            paths.append(path.resolve())
        return tuple(map(str, paths))

    @property
    def names(self) -> tuple[str, ...]:
        """What can be changed to, the scene that the show was started with first."""
        return (HOME, *(Path(file).stem for file in self.scenes))


def programme_parameters(table: Mapping[str, Any]) -> Iterator[Parameter]:
    """The parameters of a scene's table [programme]; none where it names no scene, or is wrong."""
    files, fade_s = table.get("scenes"), table.get("fade_s", 2.0)
    if not isinstance(files, list | tuple) or not files or not all(isinstance(file, str) for file in files):
        return
    names = (HOME, *(Path(file).stem for file in files))
    yield Parameter(SCENE, "choice", f"the scene; {HOME} is the first", HOME, choices=names, acts=True)
    yield Parameter(
        SCENE_FADE_S,
        "float",
        "how long values take from one scene to the next",
        fade_s if isinstance(fade_s, float | int) else 2.0,
        maximum=LONGEST_FADE_S,
        unit="s",
    )
