"""A student's card.json: what the student is, which files belong to it, and their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vivant.engines.contract import PARTS, EngineError, Kind, Part, Precision
from vivant.engines.diffusion.facts import Facts

CARD = "card.json"
GRAPH_OF: Mapping[Precision, Kind] = {"int8": "int8", "float": "float", "bf16": "float", "half": "float"}

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[\w.-]+$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class CardFile(_Entry):
    """One file beside the card, by name and hash; `data` is the sha256 of FILE.data, which holds the weights
    of a graph above two gigabytes."""

    file: FileName
    sha256: Sha256
    data: Sha256 | None = None

    @property
    def whole(self) -> str:
        """One hash of all that the file says."""
        return self.sha256 if self.data is None else _digest(self.sha256, self.data)


class AdapterSlots(_Entry):
    """How many adapters a student's graphs take at once, of which rank, and where: inputs and outputs of
    each site by part and layer, in the order of the graphs' adapter inputs."""

    slots: Annotated[int, Field(ge=1)]
    rank: Annotated[int, Field(ge=1)]
    sites: dict[Part, dict[str, tuple[int, int]]]


class Card(_Entry):
    """`styles` in the order of the graphs' style input; `planes` names the layout of the blocks that decode
    takes (vivant.engines.slots); `adapters` where LoRA pairs enter; `sigma_range` in [0, 1] is what the
    student was trained on; `graphs` by part and precision, empty for a student that is code alone;
    `trained` holds free facts about how it was made and is read by nobody.

    A diffusion student has `diffusion` instead of styles, planes and adapters; `prompt` is the embedding of
    no words at all, `image` that of an image prompt."""

    name: Name
    version: str
    summary: str
    styles: tuple[Name, ...] = ()
    planes: str = ""
    adapters: AdapterSlots | None = None
    diffusion: Facts | None = None
    code_channels: Annotated[int, Field(ge=3)]
    size_multiple: Annotated[int, Field(ge=8, multiple_of=8)]
    default_size: Annotated[int, Field(ge=32)]
    sigma_range: tuple[float, float]
    graphs: dict[Part, dict[Kind, CardFile]]
    weights: CardFile | None = None
    guard: CardFile | None = None
    prompt: CardFile | None = None
    image: CardFile | None = None
    made_with: str
    trained: dict[str, Any] = {}  # free facts, written for people
    license: str

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        low, high = self.sigma_range
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"sigma_range is [{low}, {high}]: must rise within [0, 1]")
        if self.default_size % self.size_multiple:
            raise ValueError(f"default_size {self.default_size} is no multiple of {self.size_multiple}")
        painted = bool(self.styles) and bool(self.planes)
        if self.diffusion is None and not painted:
            raise ValueError("it has neither styles with planes nor the facts of a diffusion model")
        if self.diffusion is not None and (self.styles or self.planes or self.adapters or not self.prompt):
            raise ValueError("a diffusion student has a prompt, and no styles, planes or house adapters")
        return self

    @property
    def kind(self) -> str:
        """What loads it: a name in vivant.engines.kinds.KINDS."""
        return "house" if self.diffusion is None else "diffusion"

    @property
    def slots(self) -> tuple[int, int] | None:
        """How many adapters its graphs take at once, and of which rank; None for a student of either kind
        that takes none."""
        own = self.adapters if self.diffusion is None else self.diffusion.adapters
        return (own.slots, own.rank) if own else None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its graphs, in the order in which they run first."""
        more = self.diffusion is not None and self.diffusion.control == "residuals"
        return (*PARTS, "control") if more else PARTS

    @classmethod
    def read(cls, folder: Path) -> Card:
        """The card of `folder`. Raises EngineError when it is missing or wrong, naming every problem."""
        path = folder / CARD
        try:
            text = path.read_bytes()
        except OSError as error:
            raise EngineError(
                f"{folder} holds no student: {path} cannot be read ({error.strerror}). "
                "Run: vivant engines list, for the students that are here."
            ) from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise EngineError(_problems(path, error)) from error

    def graph(self, part: Part, precision: Precision, rounded: bool = False) -> CardFile:
        """The ONNX file of one part; `rounded` prefers the INT8 graph for runtimes that want every output
        rounded. Raises EngineError when the student has none of that precision."""
        kinds = self.graphs.get(part, {})
        file = kinds.get("int8_rounded") if rounded and precision == "int8" else None
        file = file or kinds.get(GRAPH_OF[precision])
        if file is None:
            raise EngineError(
                f"student {self.name} has no {precision} graph for {part}; "
                f"it has: {', '.join(sorted(kinds)) or 'none'}. "
                "Ask for one of these, or for another student."
            )
        return file

    @property
    def hash(self) -> str:
        """Hash of the hashes of all graphs, weights and an image prompt's picture: two students that paint
        alike share it."""
        named = [
            f"{part}.{kind}.{file.whole}"
            for part, kinds in self.graphs.items()
            for kind, file in kinds.items()
        ]
        if self.weights:
            named.append(f"weights.{self.weights.sha256}")
        if self.image:
            named.append(f"image.{self.image.sha256}")
        return hashlib.sha256("\n".join(sorted([self.name, self.version, *named])).encode()).hexdigest()

    def files(self) -> tuple[CardFile, ...]:
        """Every file that the card names, each once."""
        found = [file for kinds in self.graphs.values() for file in kinds.values()]
        found += [file for file in (self.weights, self.guard, self.prompt, self.image) if file]
        return tuple({file.file: file for file in found}.values())


def card_file(path: Path) -> CardFile:
    """What a card says of a file."""
    beside = data_file(path)
    return CardFile(file=path.name, sha256=_sha256(path), data=_sha256(beside) if beside.exists() else None)


def read_checked(folder: Path, file: CardFile) -> bytes:
    """The bytes of a file of a card, read once. Raises EngineError when missing or of another hash."""
    path = folder / file.file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineError(
            f"{folder / CARD} names {file.file}, but it cannot be read ({error.strerror}). "
            "Copy the whole student folder again, or reinstall vivant."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise EngineError(
            f"{path} has sha256 {found[:12]}..., but {folder / CARD} says {file.sha256[:12]}...: the file "
            "was changed or copied in part. Copy the whole student folder again, or export the student anew."
        )
    return data


def data_file(path: Path) -> Path:
    """Where the weights of a graph lie that is too large to hold them."""
    return path.with_name(f"{path.name}.data")


def read_graph(folder: Path, file: CardFile) -> bytes | Path:
    """A graph of a card as runtimes take it: its bytes, or the path of one that has its weights beside it,
    both checked. Raises EngineError as read_checked."""
    graph = read_checked(folder, file)
    if file.data is None:
        return graph
    beside = data_file(folder / file.file)
    found = _sha256(beside) if beside.is_file() else "nothing"
    if found != file.data:
        raise EngineError(
            f"{beside} has sha256 {found[:12]}..., but {folder / CARD} says {file.data[:12]}...: the file is "
            "missing, was changed or copied in part. Copy the whole student folder again."
        )
    return folder / file.file


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _problems(path: Path, error: ValidationError) -> str:
    found = [f"  {'.'.join(map(str, e['loc'])) or 'card'}: {e['msg'].lower()}" for e in error.errors()]
    return "\n".join([f"{path}: {len(found)} problem{'s' * (len(found) > 1)}", *found])
