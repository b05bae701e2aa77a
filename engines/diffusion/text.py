"""CLIP text encoders: words to the embeddings that a UNet takes. Needs torch and transformers; off the frame
path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.load import variant
from vivant.engines.diffusion.lora import read_text_pairs
from vivant.engines.diffusion.prompts import Prompt
from vivant.engines.diffusion.unet import all_sites, fuse
from vivant.runtime.frames import F32

# Any: tokenizers and text encoders are transformers', whose types are not followed
Encoder = tuple[Any, Any]  # tokenizer and text model


class Spoken:
    """Text encoders in use. One thread."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        self._encoders = encoders

    def __call__(self, text: str) -> Prompt:
        """As embed."""
        return embed(self._encoders, text)

    def meanings(self, texts: Sequence[str]) -> F32:
        """As meanings."""
        return meanings(self._encoders, texts)


def load_encoders(places: Iterable[tuple[Path, Path]]) -> tuple[Encoder, ...]:
    """Text encoders in float32, from safetensors alone; the folder of each one's tokenizer and its own
    (Model.text)."""
    transformers = import_module("transformers")
    found = []
    for tokenizer, folder in places:
        kind = _architecture(transformers, folder)
        encoder = kind.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.float32,
            variant=variant(folder),
        )
        words = transformers.CLIPTokenizer.from_pretrained(tokenizer, local_files_only=True)
        found.append((words, encoder.eval().requires_grad_(False)))
    return tuple(found)


def _architecture(transformers: Any, folder: Any) -> Any:
    config = transformers.CLIPTextConfig.from_pretrained(folder, local_files_only=True)
    return getattr(transformers, (config.architectures or ["CLIPTextModel"])[0])


def fuse_text(encoders: Sequence[Encoder], path: Path, scale: float) -> int:
    """Add what a LoRA file has for the text encoders to their weights, and say how many layers that were.
    Prompts made after it have a hash of their own: give the file's and `scale` to prompts.kept."""
    count = 0
    for number, (_, encoder) in enumerate(encoders):
        pairs = read_text_pairs(path, all_sites(encoder), number)
        fuse(encoder, pairs, scale)
        count += len(pairs)
    return count


def embed(encoders: Sequence[Encoder], text: str) -> Prompt:
    """One encoder: the last hidden state, normalised (SD 1.5, 2.1). Two: the last but one of both side by
    side, and the second's projection as `pooled` (SDXL). Raises EngineError for a text that is too long."""
    ids = [_ids(tokenizer, text) for tokenizer, _ in encoders]
    with torch.inference_mode():
        made = [
            model(each, output_hidden_states=True) for (_, model), each in zip(encoders, ids, strict=True)
        ]
    if len(made) == 1:
        return Prompt(made[0].last_hidden_state.numpy())
    tokens = torch.cat([each.hidden_states[-2] for each in made], -1)
    return Prompt(tokens.numpy(), made[1].text_embeds.numpy())


def meanings(encoders: Sequence[Encoder], texts: Sequence[str]) -> F32:
    """Each text as one vector (n, D) of length 1: what the last encoder pools at the text's end. What is
    longer than it takes is cut. A text's end sees what stands before it alone, so texts are padded only to
    the longest of them, and each gets what it would get by itself."""
    tokenizer, model = encoders[-1]
    given = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").input_ids
    with torch.inference_mode():
        made = model(given)
    pooled = getattr(made, "text_embeds", None)
    found = (made.pooler_output if pooled is None else pooled).float()
    unit: F32 = torch.nn.functional.normalize(found, dim=-1).numpy()
    return unit


def _ids(tokenizer: Any, text: str) -> torch.Tensor:
    most = int(tokenizer.model_max_length)
    length = len(tokenizer(text).input_ids)
    if length > most:
        raise EngineError(
            f"the prompt '{text[:40]}...' is {length} tokens long, and {most} fit (two of them its ends). "
            "Shorten it, or blend two prompts."
        )
    ids: torch.Tensor = tokenizer(
        text, padding="max_length", max_length=most, truncation=True, return_tensors="pt"
    ).input_ids
    return ids
