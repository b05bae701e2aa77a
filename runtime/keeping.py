"""What a scene says of its guard: files of its own, fallbacks, words that nobody may say to the student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from vivant.guardrails.guard_file import SHORTEST, GuardFile
from vivant.guardrails.words import WordGuard
from vivant.runtime.fallbacks import fallback_of
from vivant.runtime.frames import VivantError

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
Text = Annotated[str, Field(strict=True)]
Hash = Annotated[str, Field(strict=True, pattern=f"^[0-9a-f]{{{SHORTEST},64}}$")]


class Guards(BaseModel):
    """[guard]: `files` of this scene's own policies with their sha256, absolute or from the scene's folder;
    `fallbacks` that are tried in this order, each `fallback_after_s` into a hold."""

    model_config = STRICT

    files: dict[Text, Hash] = Field(default_factory=dict)
    fallbacks: tuple[Text, ...] = Field((), strict=False, max_length=8)
    fallback_after_s: float = Field(3.0, ge=0.5, le=3600)

    @field_validator("files")
    @classmethod
    def _files(cls, files: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        folder: Path = info.context["folder"] if info.context else Path.cwd()
        found = {str(folder / Path(name).expanduser()): sha256 for name, sha256 in files.items()}
        for name, sha256 in found.items():
            try:
                GuardFile(Path(name), sha256).read()
            except VivantError as error:
                raise ValueError(str(error)) from error
        return found

    def named(self) -> tuple[GuardFile, ...]:
        """Its files, as the render process loads them."""
        return tuple(GuardFile(Path(name), sha256) for name, sha256 in self.files.items())

    def problems(self, student_hash: str, styles: tuple[str, ...]) -> str:
        """What does not fit the student, or "" ."""
        try:
            for file in self.named():
                file.checked(student_hash)
            for word in self.fallbacks:
                fallback_of(word, styles)
        except VivantError as error:
            return str(error)
        except ValueError as error:
            return f"fallbacks: '{word}' {error}"
        return ""


class Words(BaseModel):
    """[words]: what may be said to the student. See vivant.guardrails.words."""

    model_config = STRICT

    deny: tuple[Text, ...] = Field((), strict=False, max_length=2000)
    allow: tuple[Text, ...] = Field((), strict=False, max_length=2000)
    only: tuple[Text, ...] = Field((), strict=False, max_length=2000)

    @field_validator("deny", "allow")
    @classmethod
    def _words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        WordGuard(words)
        return words

    def guard(self) -> WordGuard | None:
        """The guard of the text doors; None where the scene names no words."""
        return WordGuard(self.deny, self.allow, self.only) if self.deny or self.only else None
