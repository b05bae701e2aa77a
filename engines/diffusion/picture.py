"""What an image prompt (IP-Adapter) takes of a picture: its projection by a CLIP vision model. Needs torch
and transformers; off the frame path."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from vivant.engines.contract import EngineError
from vivant.runtime.frames import F32

FILE: Final = "image.safetensors"
KIND: Final = "CLIPVisionModelWithProjection"


def embed_picture(picture: Path, encoder: Path, length: int) -> F32:
    """The embedding of a picture, f32 (1, 1, `length`), by the encoder in a folder (config.json and
    safetensors; it comes with the IP-Adapter). Raises EngineError for files that are no picture, no such
    encoder, or one that gives another length."""
    import torch

    model = _opened(encoder)
    pixels = _pixels(picture, int(model.config.image_size))
    with torch.inference_mode():
        made: F32 = model(torch.from_numpy(pixels)).image_embeds.numpy()
    if made.shape != (1, length):
        raise EngineError(
            f"{encoder} gives {made.shape[-1]} numbers of a picture, and the image prompt takes {length}. "
            "Give the image encoder that the IP-Adapter was trained with."
        )
    return made[None]


def write_picture(path: Path, embedding: F32) -> None:
    """As a student's card names it. Raises OSError."""
    from safetensors.numpy import save

    from vivant.engines.manifest import write_atomically

    write_atomically(path, save({"image": embedding}))


def _opened(encoder: Path) -> Any:  # a model of transformers
    kind: Any = getattr(import_module("transformers"), KIND)
    try:
        model = kind.from_pretrained(encoder, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise EngineError(f"{encoder} is no image encoder ({KIND}): {first}") from error
    return model.float().eval().requires_grad_(False)


def _pixels(picture: Path, side: int) -> F32:
    """A picture as CLIP sees it (Radford et al. 2021): its middle, (1, 3, side, side), normalised."""
    import cv2

    read = cv2.imread(str(picture), cv2.IMREAD_COLOR_RGB)
    if read is None:
        raise EngineError(f"{picture} is no picture that can be read. Give a JPEG or PNG file.")
    processor = import_module("transformers").CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    found: F32 = processor(read, return_tensors="np").pixel_values
    return found
