"""A diffusion student with random weights in a folder, to be measured with: what it costs does not depend on
what it knows. torch reads it; it has no graphs.

    python -P -m vivant.tools.random_student out/turbo-shaped --size 512 --slots 2 --rank 16

The shape is SD-Turbo's, with TAESD, one denoising step, and adapter slots at every layer unless told
otherwise. Its guard measures what it always does, and admits everything: never a student for a show.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vivant.engines.card import CARD, Card, card_file
from vivant.engines.diffusion.facts import SlotFacts
from vivant.engines.diffusion.noise import noise
from vivant.engines.diffusion.prompts import Prompt, to_bytes
from vivant.engines.diffusion.torch_parts import Networks, random_facts, random_networks
from vivant.engines.diffusion.unet import all_sites
from vivant.engines.diffusion.weights import FILE, write_weights
from vivant.engines.manifest import write_atomically
from vivant.guardrails.envelope import Fitted, write
from vivant.guardrails.measure import length

CHANNELS = 4
TOKENS = 77


def write_random(
    out: Path, networks: Networks, size: int, slots: int, rank: int, tokens: int = TOKENS
) -> Path:
    """A whole student of these networks in the folder `out`; rank 0 is no adapters."""
    out.mkdir(parents=True, exist_ok=True)
    write_weights(out / FILE, {"unet": networks.unet, "vae": networks.vae})
    facts = random_facts(networks, size, tokens)
    if rank:
        sites = {site.name: (site.inputs, site.outputs, *site.kernel) for site in all_sites(networks.unet)}
        facts = facts.model_copy(update={"adapters": SlotFacts(slots=slots, rank=rank, sites=sites)})
    nothing = Prompt(noise(1, (1, tokens, facts.prompt.width)), None)
    write_atomically(out / "prompt.safetensors", to_bytes(nothing))
    write_atomically(out / "guard.npz", write(all_admitting(CHANNELS)))
    card = Card(
        name="random",
        version="1",
        summary="random weights, to measure with",
        diffusion=facts,
        code_channels=CHANNELS,
        size_multiple=facts.size_multiple,
        default_size=size,
        sigma_range=(0.0, 1.0),
        graphs={},
        weights=card_file(out / FILE),
        guard=card_file(out / "guard.npz"),
        prompt=card_file(out / "prompt.safetensors"),
        made_with="vivant.tools.random_student",
        license="none: nothing was learned",
    )
    write_atomically(out / CARD, (card.model_dump_json(indent=1) + "\n").encode())
    return out


def all_admitting(channels: int) -> Fitted:
    """A guard's file that admits every sound latent without a guide."""
    size = length(channels, guided=False)
    nothing = np.zeros(size, np.float32)
    return Fitted(nothing, np.eye(size, dtype=np.float32), 1e9, channels, 0.0, 1.0, 0, guided=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--rank", type=int, default=16, help="0 for a student without adapter slots")
    asked: Any = parser.parse_args()
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    networks = random_networks(device, torch.float16)
    folder = write_random(asked.out, networks, asked.size, asked.slots, asked.rank)
    print(f"{folder}: {(folder / FILE).stat().st_size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
