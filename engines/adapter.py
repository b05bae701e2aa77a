"""LoRA adapters of a student: safetensors files with PEFT's names, checked, and laid into the engine's slots.

A file holds `base_model.model.<part>.<site>.lora_A.weight` (rank, inputs) and `.lora_B.weight`
(outputs, rank), and says in its metadata what it is (AdapterInfo).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vivant.engines.card import Card, Name
from vivant.engines.contract import EngineError, Part
from vivant.engines.hangers import Hangers
from vivant.engines.slots import RECIPES
from vivant.runtime.frames import F32, Controls

SHIPPED = Path(__file__).parent / "adapters"
ADAPTED: tuple[Part, ...] = ("denoise", "decode")
PREFIX = "base_model.model."
LARGEST = 1e3  # of a trained pair's values are below ten; 0 times an overflow would be no number


class AdapterInfo(BaseModel):
    """An adapter's metadata. `host` is the style it was trained upon and stands in for (none: it goes with
    every style), `recipe` the planes it paints with (none: those of the styles beside it), `upon` the sha256
    of the weights that it was trained upon."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    summary: str
    student: Name
    host: Name | None = None
    recipe: Name | None = None
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    rank: Annotated[int, Field(ge=1)]
    upon: str = ""
    made_with: str
    license: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """A checked adapter. `down` (rank, sum of inputs) and `up` (rank, sum of outputs) by part, sites side by
    side as the engine takes them, alpha / rank already in `up`. `hash` is the sha256 of the file."""

    info: AdapterInfo
    down: Mapping[Part, F32]
    up: Mapping[Part, F32]
    hash: str


def wearable(card: Card, more: Iterable[Path] = ()) -> dict[str, Path]:
    """The adapter files that a student may wear, by the name they say: those that come with vivant and were
    made for it, and `more`. Raises EngineError for a file that does not fit, and for a name that is there
    twice or is a style's."""
    shipped = sorted(SHIPPED.glob("*.safetensors")) if card.adapters else []
    found: dict[str, Path] = {}
    for path in (*shipped, *more):
        info = read_info(path)
        if path in shipped and not _made_for(info, card):
            continue
        read_adapter(path, card)
        if info.name in found or info.name in card.styles:
            other = found.get(info.name, f"a style of {card.name}")
            raise EngineError(f"{path} is named '{info.name}', and so is {other}. Rename one of them")
        found[info.name] = path
    return found


def read_adapter(path: Path, card: Card) -> Adapter:
    """The adapter in `path`, fitted to a student. Raises EngineError with every reason it cannot be used."""
    tensors, metadata = opened(path)
    info = _info(path, metadata)
    problems = _problems(info, tensors, card)
    if problems:
        raise EngineError(
            "\n".join([f"{path}: {len(problems)} problem{'s' * (len(problems) > 1)}", *problems])
        )
    assert card.adapters is not None
    down: dict[Part, F32] = {}
    up: dict[Part, F32] = {}
    for part in ADAPTED:
        sites = card.adapters.sites[part]
        down[part] = np.concatenate(
            [_site(tensors, part, s, "A", info.rank, i) for s, (i, _) in sites.items()], 1
        )
        up[part] = np.concatenate(
            [
                _site(tensors, part, s, "B", info.rank, o).T * (info.alpha / info.rank)
                for s, (_, o) in sites.items()
            ],
            1,
        )
    return Adapter(info, down, up, hashlib.sha256(path.read_bytes()).hexdigest())


def read_info(path: Path) -> AdapterInfo:
    """What an adapter file says it is. Raises EngineError."""
    return _info(path, opened(path)[1])


def _made_for(info: AdapterInfo, card: Card) -> bool:
    """Whether a student is the one that an adapter was trained upon, and not another of its name."""
    return info.student == card.name and card.weights is not None and info.upon == card.weights.sha256


def _info(path: Path, metadata: Mapping[str, str]) -> AdapterInfo:
    try:
        return AdapterInfo.model_validate_json(metadata.get("vivant", "{}"))
    except ValidationError as error:
        lacking = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
        raise EngineError(
            f"{path} does not say what it is: its metadata 'vivant' lacks or has wrong: {lacking}. "
            "Make adapters with: vivant distill adapter"
        ) from error


def _site(tensors: Mapping[str, F32], part: str, site: str, letter: str, rank: int, size: int) -> F32:
    """One matrix, A (rank, inputs) or B (outputs, rank); zero for a site that the file leaves alone."""
    found = tensors.get(f"{PREFIX}{part}.{site}.lora_{letter}.weight")
    if found is None:
        return np.zeros((rank, size) if letter == "A" else (size, rank), np.float32)
    return found.reshape(found.shape[:2])


def _problems(info: AdapterInfo, tensors: Mapping[str, F32], card: Card) -> list[str]:
    if card.adapters is None:
        return [f"  student {card.name} takes no adapters"]
    found = []
    if info.student != card.name:
        found.append(f"  student: it was made for {info.student}, and this is {card.name}")
    elif info.upon and card.weights is not None and info.upon != card.weights.sha256:
        found.append(f"  upon: it was trained upon other weights of {card.name}; train it again")
    if info.rank > card.adapters.rank:
        found.append(
            f"  rank: {info.rank}, but a slot of {card.name} holds {card.adapters.rank}. "
            f"Run: vivant adapters fit FILE --student {card.name}"
        )
    if info.host is not None and info.host not in card.styles:
        found.append(f"  host: style '{info.host}' is none of {', '.join(card.styles)}")
    if info.recipe is not None and info.recipe not in RECIPES:
        found.append(f"  recipe: '{info.recipe}' is none of {', '.join(RECIPES)}")
    known: dict[str, tuple[int, int]] = {}
    for part in ADAPTED:
        for site, (inputs, outputs) in card.adapters.sites[part].items():
            pair = [f"{PREFIX}{part}.{site}.lora_{letter}.weight" for letter in "AB"]
            known |= zip(pair, ((info.rank, inputs), (outputs, info.rank)), strict=True)
            if len(tensors.keys() & set(pair)) == 1:
                found.append(f"  {part}.{site}: only one of lora_A and lora_B is there")
    for name, tensor in tensors.items():
        if name not in known:
            found.append(f"  {name}: {card.name} has no such layer to adapt")
        elif tensor.shape[:2] != known[name] or tensor.size != np.prod(known[name]):
            found.append(f"  {name}: shape {tensor.shape}, and {known[name]} is needed")
        elif not np.isfinite(tensor).all():
            found.append(f"  {name}: holds NaN or infinity; export it anew, or train it again")
        elif np.abs(tensor).max(initial=0.0) > LARGEST:
            found.append(f"  {name}: holds values above {LARGEST:g}, which no training leaves behind")
    if not tensors:
        found.append("  it holds no layer at all")
    return found


@dataclass(slots=True)
class Slots:
    """The engine's adapter inputs for one part, as arrays that stay where they are."""

    down: F32
    up: F32
    scale: F32

    def inputs(self) -> dict[str, F32]:
        """By the names that the graphs give them."""
        return {"adapter_down": self.down, "adapter_up": self.up, "adapter_scale": self.scale}


class Wardrobe:
    """The slots of one student, and which adapter hangs in which. One thread.

    `wear` takes scales by name and hands them to the slots. Filling a slot copies some ten kilobytes.
    """

    def __init__(self, card: Card, adapters: Iterable[Adapter]) -> None:
        self.adapters = {adapter.info.name: adapter for adapter in adapters}
        self.parts: dict[Part, Slots] = {}
        count = card.adapters.slots if card.adapters else 0
        self._hangers = Hangers(count, self._fill)
        self._scales = np.zeros(count, np.float32)
        if card.adapters is not None:
            rank = self._rank = card.adapters.rank
            for part in ADAPTED:
                inputs, outputs = (sum(n) for n in zip(*card.adapters.sites[part].values(), strict=True))
                rows = count * rank
                self.parts[part] = Slots(
                    *(np.zeros(s, np.float32) for s in ((rows, inputs), (rows, outputs), (1, count)))
                )

    def wear(self, scales: Mapping[str, float]) -> dict[str, float]:
        """The adapters that are worn now and their scales in [0, 1], as Hangers.wear."""
        worn = self._hangers.wear(scales, self.adapters, self._scales)
        for slots in self.parts.values():
            slots.scale[0] = self._scales
        return worn

    def add(self, adapter: Adapter) -> None:
        """One more that can be worn, between two frames; it takes the place of another of its name."""
        self.adapters[adapter.info.name] = adapter
        self._hangers.renew(adapter.info.name)

    def _fill(self, slot: int, name: str) -> None:
        adapter = self.adapters[name]
        first, rank = slot * self._rank, adapter.info.rank
        for part, slots in self.parts.items():
            for held, given in ((slots.down, adapter.down[part]), (slots.up, adapter.up[part])):
                held[first : first + self._rank] = 0
                held[first : first + rank] = given


def dressed(card: Card, wardrobe: Wardrobe, controls: Controls) -> tuple[dict[str, float], F32]:
    """Puts on the adapters that are asked for. What the planes are to be made for, by recipe; and the style
    weights f32 (1, S) in the card's order.

    Weights are brought to a sum of 1; all zero is the first style; names that the student does not have
    count for nothing. An adapter with a host stands in for the styles by its scale.
    """
    worn = wardrobe.wear(controls.adapters)
    infos = {name: wardrobe.adapters[name].info for name in worn}
    hosted = {name: scale for name, scale in worn.items() if infos[name].host is not None}
    most = max(sum(hosted.values()), 1.0)
    asked = {name: max(0.0, float(controls.styles.get(name, 0.0))) for name in card.styles}
    if not any(asked.values()):
        asked[card.styles[0]] = 1.0
    share, total = max(1.0 - sum(hosted.values()), 0.0), sum(asked.values())
    weights = {name: share * (weight / total) for name, weight in asked.items()}
    recipes = {name: weight for name, weight in weights.items() if weight > 0.0}
    for name, scale in hosted.items():
        host, recipe = str(infos[name].host), infos[name].recipe
        weights[host] += scale / most
        recipes[recipe or host] = recipes.get(recipe or host, 0.0) + scale / most
    return recipes, np.array([list(weights.values())], np.float32)


def opened(path: Path) -> tuple[dict[str, F32], dict[str, str]]:
    """Tensors and metadata of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: np.asarray(file.get_tensor(name), np.float32) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, SafetensorError, TypeError) as error:
        raise EngineError(f"{path} is no safetensors file that can be read ({error})") from error
