"""The steps from a diffusers folder to a student: its graphs exported, painted with, and given a guard.

Needs torch, diffusers and transformers, which are imported when a step is at work.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vivant.engines.builder.folders import PROMPTS
from vivant.engines.builder.int8 import SampleFiles
from vivant.engines.builder.order import Order
from vivant.engines.builder.step import Making
from vivant.engines.builder.trial import fitted
from vivant.engines.card import CARD, Card
from vivant.engines.diffusion.bank import Layout
from vivant.engines.manifest import staged_in
from vivant.runtime.frames import F32, Latent

LATENTS = "latents.npz"
DEFAULT_SLOTS = (1, 16)
READ = (".safetensors", ".json", ".txt", ".model")  # of a model's folder


def facts_of(order: Order) -> dict[str, Any]:
    """What an export depends on: every weight and configuration, and what the model is made into."""
    extras = order.extras
    digest = hashlib.sha256()
    pictures = (extras.image_prompt, extras.image, extras.image_encoder)
    places = (order.source, extras.vae, extras.controlnet, *pictures, *(path for path, _ in extras.fused))
    for place in filter(None, places):
        inside = (one for one in sorted(place.rglob("*")) if one.suffix in READ)
        for path in [place] if place.is_file() else inside:
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    made = (extras.control, extras.negative, extras.attention_only, [scale for _, scale in extras.fused])
    return {
        "files": digest.hexdigest(),
        "slots": order.slots or DEFAULT_SLOTS,
        "made": made,
        "name": order.name,
    }


def export(order: Order, making: Making) -> None:
    """The float graphs, the text encoders, prompts to calibrate with, and a card without a guard."""
    from vivant.engines.diffusion import folder as writing
    from vivant.engines.diffusion.build import Wanted, write_float
    from vivant.engines.diffusion.model import open_model
    from vivant.engines.diffusion.prompts import to_bytes

    _quiet()
    extras, (slots, rank) = order.extras, order.slots or DEFAULT_SLOTS
    opened = open_model(order.source, vae=extras.vae)
    wanted = Wanted(
        slots=slots,
        rank=rank,
        attention_only=extras.attention_only,
        negative=extras.negative,
        fused=dict(extras.fused),
        controlnet=extras.controlnet,
        control=extras.control,
        image_prompt=extras.image_prompt,
        image=extras.image,
        image_encoder=extras.image_encoder,
    )
    built = write_float(opened, making.folder, wanted)
    making.share(0.7)
    writing.check_parity(built)
    writing.copy_text(opened, making.folder)
    (making.folder / PROMPTS).mkdir()
    for index, prompt in enumerate(writing.write_prompts(opened, making.folder)):
        (making.folder / PROMPTS / f"{index}.safetensors").write_bytes(to_bytes(prompt))
    card = writing.draft(built, making.folder, order.name, order.source.name)
    (making.folder / CARD).write_text(card.model_dump_json(indent=1) + "\n")


def _quiet() -> None:
    """diffusers and transformers draw bars and warn of what is well; we say ourselves what is done."""
    import diffusers.utils.logging
    import transformers.utils.logging

    for logging in (diffusers.utils.logging, transformers.utils.logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def samples(order: Order, making: Making) -> None:
    """What each graph is given while the float student paints, and the latents it makes for the guard."""
    from vivant.engines.diffusion.calibration import collect
    from vivant.engines.diffusion.prompts import from_bytes

    folder = making.given["student"]
    card = Card.read(folder)
    paths = sorted((folder / PROMPTS).glob("*.safetensors"))
    prompts = [from_bytes(path.read_bytes()) for path in paths]
    frames = [fitted(frame, order.sizes_px[0]) for frame in order.material.seen]
    with TemporaryDirectory() as store, staged_in(Path(store)):
        found = collect(folder, card, prompts, frames, order.machine.threads, making.share)
    for part, runs in found.samples.items():
        files = SampleFiles(making.folder / part)
        for group, inputs in zip(found.groups[part], runs, strict=True):
            files.add(group, inputs)
        files.close()
    np.savez(making.folder / LATENTS, codes=np.stack([latent.code for latent in found.latents]))


def guard(order: Order, making: Making) -> None:
    """guard.npz, fitted to the latents."""
    assert order.fit is not None
    with np.load(making.given["samples"] / LATENTS, allow_pickle=False) as held:
        codes = held["codes"]
    order.fit((Latent(code, None) for code in codes), making.folder / "guard.npz")


def made_up_lora(card: Card, path: Path, seed: int) -> Path:
    """A LoRA file with random weights for every site of a diffusion student with slots."""
    from safetensors.numpy import save_file

    assert card.diffusion is not None and card.diffusion.adapters is not None
    save_file(_pairs(card.diffusion.adapters.layout, seed), path)
    return path


def _pairs(layout: Layout, seed: int, reach: float = 0.1) -> dict[str, F32]:
    """By diffusers' names. Each changes what its layer gives by about `reach`."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    found: dict[str, F32] = {}
    for site in layout.sites:
        kernel = site.kernel if site.taps > 1 else ()
        down = rng.standard_normal((layout.rank, site.inputs, *kernel), dtype=np.float32)
        up = rng.standard_normal((site.outputs, layout.rank, *(1 for _ in kernel)), dtype=np.float32)
        found[f"unet.{site.name}.lora_A.weight"] = down / np.float32((site.inputs * site.taps) ** 0.5)
        found[f"unet.{site.name}.lora_B.weight"] = up * np.float32(reach / layout.rank**0.5)
    return found
