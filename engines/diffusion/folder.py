"""From a diffusers folder to a whole student: graphs in every kind, its guard, its text encoders, its card.

Needs torch, diffusers, transformers and onnx. The card is written last: a folder that has one is whole.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from vivant.engines.card import CARD, Card, CardFile, card_file
from vivant.engines.contract import EngineError, Part
from vivant.engines.contract import Kind as GraphKind
from vivant.engines.diffusion.build import Built, Wanted, write_float
from vivant.engines.diffusion.calibration import Calibration, collect
from vivant.engines.diffusion.embeddings import text_places
from vivant.engines.diffusion.int8 import write_int8
from vivant.engines.diffusion.model import Model, open_model
from vivant.engines.diffusion.picture import FILE as IMAGE
from vivant.engines.diffusion.prompts import Prompt, to_bytes
from vivant.engines.diffusion.steps import Kind, Sampler
from vivant.engines.diffusion.text import embed, load_encoders
from vivant.engines.diffusion.weights import FILE as WEIGHTS
from vivant.engines.manifest import write_atomically
from vivant.runtime.frames import U8, Latent

Fit = Callable[[Iterable[Latent], Path], object]
"""vivant.guardrails.fit.fit_envelope: writes what the guard is fitted to. Engines know nothing of guards."""
Told = Callable[[str, float], None]
"""What is done now, and which share of it in [0, 1]."""

KINDS: Final[tuple[GraphKind, ...]] = ("float", "int8", "int8_symmetric")
LEAST_DB: Final = 60.0  # of a float graph against its network: rounding alone is far beyond
PROMPTS: Final = ("a painting in oil", "ink on paper", "a photograph of a dancer in a dark room", "gold leaf")
TEXT_FILES: Final = ("*.json", "*.txt", "*.safetensors", "*.model")


def quiet(stage: str, share: float) -> None:
    """Nobody is told."""


def write_student(
    model: Path,
    out: Path,
    wanted: Wanted,
    frames: Sequence[U8],
    fit: Fit,
    kinds: Sequence[GraphKind] = KINDS,
    name: str | None = None,
    sampler: Kind | Sampler | None = None,
    vae: Path | None = None,
    threads: int = 1,
    progress: Told = quiet,
) -> Path:
    """A student in the folder `out`, which may exist and hold another one, or half of one.

    `model`, `sampler` and `vae` as in model.open_model; `frames` u8 (H, W, 3), all of one size that the model
    can paint, are what INT8 ranges and the guard come from: give 60 different ones and more, of the rooms
    that it is for. Raises EngineError with every problem of the model's folder, and for graphs that do not
    do what their network does."""
    opened = open_model(model, sampler, vae)
    out.mkdir(parents=True, exist_ok=True)
    (out / CARD).unlink(missing_ok=True)
    progress("export", 0.0)
    built = write_float(opened, out, wanted)
    check_parity(built)
    progress("text", 0.0)
    copy_text(opened, out)
    prompts = write_prompts(opened, out)
    card = draft(built, out, name or slug(model.name), model.name)
    progress("calibrate", 0.0)
    seen = collect(out, card, prompts, frames, threads, partial(progress, "calibrate"))
    for kind in [kind for kind in kinds if kind != "float"]:
        write_quantized(built, seen, out, kind, partial(progress, f"quantize {kind}"))
    progress("guard", 0.0)
    fit(iter(seen.latents), out / "guard.npz")
    whole = finished(card, built, out, kinds)
    write_atomically(out / CARD, (whole.model_dump_json(indent=1) + "\n").encode())
    progress("written", 1.0)
    return out


def check_parity(built: Built) -> None:
    """Raises EngineError for a graph that does not do what its network does."""
    wrong = [
        f"  {part}: {one.psnr_db:.1f} dB, {one.most:.3g} at most"
        for part, one in built.parity.items()
        if one.psnr_db < LEAST_DB and one.most > 1.0
    ]
    if wrong:
        raise EngineError("\n".join(["graphs differ from their networks on onnxruntime:", *wrong]))


def copy_text(model: Model, out: Path) -> None:
    """Tokenizers and text encoders into the student's folder: a link where the file system allows it. Never
    a pickle."""
    for own, places in zip(model.text, text_places(out, len(model.text)), strict=True):
        for source, target in zip(own, places, strict=True):
            target.mkdir(parents=True, exist_ok=True)
            for path in (found for pattern in TEXT_FILES for found in source.glob(pattern)):
                (target / path.name).unlink(missing_ok=True)
                try:
                    os.link(path.resolve(), target / path.name)
                except OSError:  # another file system
                    shutil.copyfile(path, target / path.name)


def write_prompts(model: Model, out: Path) -> list[Prompt]:
    """The embedding of no words into the student's folder; and others to calibrate with, those that fit."""
    encoders = load_encoders(model.text)
    nothing = embed(encoders, "")
    write_atomically(out / "prompt.safetensors", to_bytes(nothing))
    found = [nothing]
    for text in PROMPTS:
        try:
            found.append(embed(encoders, text))
        except EngineError:
            continue  # a tokenizer of few tokens: the others will do
    return found


def draft(built: Built, out: Path, name: str, source: str) -> Card:
    """The card of a student that has its float graphs and no guard yet."""
    facts = built.facts
    return Card(
        name=name,
        version="1",
        summary=f"{source}, {facts.sampler.kind} in few steps",
        diffusion=facts,
        code_channels=4,
        size_multiple=facts.size_multiple,
        default_size=facts.default_size,
        sigma_range=(0.0, 1.0),
        graphs=graphs_of(built, out, ("float",)),
        weights=card_file(out / WEIGHTS),
        prompt=card_file(out / "prompt.safetensors"),
        image=None if facts.image is None else card_file(out / IMAGE),
        made_with="vivant engines build",
        trained={"source": source, "parity_db": {k: finite(p.psnr_db) for k, p in built.parity.items()}},
        license="that of the model it was made from",
    )


def finite(decibels: float) -> float:
    """What JSON can hold: graphs that are alike to the bit have no noise at all."""
    return round(min(decibels, 999.0), 1)


def finished(card: Card, built: Built, out: Path, kinds: Sequence[GraphKind]) -> Card:
    """The card with its guard and every graph that was written. Raises EngineError without float graphs."""
    return card.model_copy(
        update={"graphs": graphs_of(built, out, ("float", *kinds)), "guard": card_file(out / "guard.npz")}
    )


def graphs_of(built: Built, out: Path, kinds: Sequence[GraphKind]) -> dict[Part, dict[GraphKind, CardFile]]:
    """The files of a student's graphs by part and kind."""
    parts: list[Any] = list(built.graphs)  # its keys are parts, typed as names
    once = tuple(dict.fromkeys(kinds))
    return {part: {kind: card_file(out / f"{part}.{kind}.onnx") for kind in once} for part in parts}


def write_quantized(
    built: Built, seen: Calibration, out: Path, kind: GraphKind, progress: Callable[[float], None]
) -> None:
    """The INT8 graphs of every part."""
    for index, part in enumerate(built.graphs):
        progress(index / len(built.graphs))
        samples, groups = seen.samples[part], seen.groups[part]
        write_int8(built.graphs[part], samples, out / f"{part}.{kind}.onnx", kind == "int8_symmetric", groups)


def slug(name: str) -> str:
    """A folder's name as a student's: small letters, digits and dashes, a letter first."""
    found = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
    return found if found[:1].isalpha() else f"student-{found}".strip("-")
