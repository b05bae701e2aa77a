"""What a scene says of its guard: files of its own, fallbacks, words that nobody may say to the student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from vivant.engines.diffusion.concepts import Denied
from vivant.guardrails.critic import Layout, Order, Plan, Scores, labels_in, unknown_label
from vivant.guardrails.guard_file import SHORTEST, GuardFile
from vivant.guardrails.words import WordGuard
from vivant.runtime.audit import Kept
from vivant.runtime.fallbacks import fallback_of
from vivant.runtime.frames import VivantError

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
Text = Annotated[str, Field(strict=True)]
Hash = Annotated[str, Field(strict=True, pattern=f"^[0-9a-f]{{{SHORTEST},64}}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Channels = Annotated[tuple[float, float, float], Field(strict=False)]
ClassifierSide = Annotated[int, Field(ge=16, le=1024)]


class CriticTable(BaseModel):
    """[guard.critic]: an image classifier in ONNX that sees every n-th picture once it is shown. `forbidden`
    are thresholds by label; `labels` a text file, one a line, or their list; an answer after `limit_s` is a
    hold. The others as in vivant.guardrails.critic.Plan."""

    model_config = STRICT

    file: Text
    labels: Text | Annotated[tuple[Text, ...], Field(strict=False)]
    forbidden: dict[Text, Share] = Field(min_length=1)
    every: int = Field(5, ge=1, le=1000)
    size: tuple[ClassifierSide, ClassifierSide] = Field((224, 224), strict=False)
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    layout: Layout = "nchw"
    order: Order = "rgb"
    scores: Scores = "softmax"
    output: Text = ""
    limit_s: float = Field(2.0, ge=0.05, le=60)
    sha256: Hash | None = None

    @field_validator("file", "labels")
    @classmethod
    def _at(cls, name: str | tuple[str, ...], info: ValidationInfo) -> str | tuple[str, ...]:
        folder: Path = info.context["folder"] if info.context else Path.cwd()
        if not isinstance(name, str):
            return name
        path = folder / Path(name).expanduser()
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
        return str(path)

    @field_validator("std")
    @classmethod
    def _std(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError("should be above 0")
        return std

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            names = self.names
        except VivantError as error:
            raise ValueError(str(error)) from error
        wrong = [unknown_label(label, names) for label in self.forbidden if label not in names]
        if wrong:
            raise ValueError("forbidden: " + "; ".join(wrong))
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Its labels in their order. Raises VivantError."""
        return labels_in(Path(self.labels)) if isinstance(self.labels, str) else self.labels

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files; a large model keeps its weights in one beside it."""
        beside = Path(self.file + ".data")
        listed = [Path(self.labels)] if isinstance(self.labels, str) else []
        return (Path(self.file), *listed, *([beside] if beside.is_file() else []))

    def plan(self) -> Plan:
        """What its process is told. Raises VivantError."""
        return Plan(
            Path(self.file),
            self.names,
            dict(self.forbidden),
            self.size,
            self.mean,
            self.std,
            self.layout,
            self.order,
            self.scores,
            self.output,
            self.sha256 or "",
        )


class Guards(BaseModel):
    """[guard]: `files` of this scene's own policies with their sha256, absolute or from the scene's folder;
    `fallbacks` that are tried in this order, each `fallback_after_s` into a hold; perhaps a `critic`; and
    which pictures the audit log keeps."""

    model_config = STRICT

    files: dict[Text, Hash] = Field(default_factory=dict)
    fallbacks: tuple[Text, ...] = Field((), strict=False, max_length=8)
    fallback_after_s: float = Field(3.0, ge=0.5, le=3600)
    critic: CriticTable | None = None
    audit_pictures: Kept = "off"

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

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that judges by this scene's wish."""
        return (*map(Path, self.files), *(self.critic.paths if self.critic else ()))

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
    """[words]: what may be said to the student (vivant.guardrails.words), and mean to it
    (vivant.engines.diffusion.concepts)."""

    model_config = STRICT

    deny: tuple[Text, ...] = Field((), strict=False, max_length=2000)
    allow: tuple[Text, ...] = Field((), strict=False, max_length=2000)
    only: tuple[Text, ...] = Field((), strict=False, max_length=2000)

    denied_concepts: tuple[Text, ...] = Field((), strict=False, max_length=200)
    concept_distance: float = Field(0.25, gt=0, lt=1)

    @field_validator("denied_concepts")
    @classmethod
    def _concepts(cls, concepts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(concept.strip() for concept in concepts):
            raise ValueError("a concept is a word or a few; an empty one means nothing")
        return concepts

    def denied(self) -> Denied | None:
        """What no prompt may mean; None where the scene names no concepts."""
        return Denied(self.denied_concepts, self.concept_distance) if self.denied_concepts else None

    @field_validator("deny", "allow")
    @classmethod
    def _words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        WordGuard(words)
        return words

    def guard(self) -> WordGuard | None:
        """The guard of the text doors; None where the scene names no words."""
        return WordGuard(self.deny, self.allow, self.only) if self.deny or self.only else None
