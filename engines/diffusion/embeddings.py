"""What a student's folder holds of words and pictures, as embeddings, and what makes new ones of words."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vivant.engines.card import Card, read_checked
from vivant.engines.contract import EngineError
from vivant.engines.diffusion.facts import Facts
from vivant.engines.diffusion.model import weights_hash
from vivant.engines.diffusion.prompts import Prompt, from_bytes
from vivant.runtime.frames import Array

if TYPE_CHECKING:  # torch comes with it
    from vivant.engines.diffusion.text import Spoken


def facts_of(card: Card) -> Facts:
    if card.diffusion is None:
        raise EngineError(f"student {card.name} is no diffusion student")
    return card.diffusion


def embedding_of_nothing(folder: Path, card: Card) -> Prompt:
    """That of no words. Raises EngineError when it is not the student's."""
    from safetensors import SafetensorError

    assert card.prompt is not None
    facts = facts_of(card).prompt
    try:
        found = from_bytes(read_checked(folder, card.prompt))
    except (SafetensorError, KeyError) as error:
        raise EngineError(f"{folder / card.prompt.file} holds no embedding ({error})") from error
    shapes = found.tokens.shape, None if found.pooled is None else found.pooled.shape
    wanted = (1, facts.tokens, facts.width), None if facts.pooled is None else (1, facts.pooled)
    if shapes != wanted:
        raise EngineError(f"{folder / card.prompt.file} holds {shapes}, and the card says {wanted}")
    return found


def image_embedding(folder: Path, card: Card) -> Array | None:
    """That of the picture of an image prompt, None for a student without. Raises EngineError when it is not
    the student's."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as tensors_of

    length = facts_of(card).image
    if length is None:
        return None
    if card.image is None:
        raise EngineError(
            f"student {card.name} takes an image prompt and has no picture. Build it anew, with --image"
        )
    try:
        found: Array = tensors_of(read_checked(folder, card.image))["image"]
    except (SafetensorError, KeyError) as error:
        raise EngineError(f"{folder / card.image.file} holds no embedding ({error})") from error
    if found.shape != (1, 1, length):
        raise EngineError(
            f"{folder / card.image.file} holds {found.shape}, and the card says {(1, 1, length)}"
        )
    return found


def text_places(folder: Path, count: int) -> tuple[tuple[Path, Path], ...]:
    """Tokenizers and text encoders in a student's folder."""
    text = folder / "text"
    return tuple((text / f"tokenizer{s}", text / f"text_encoder{s}") for s in ("", "_2")[:count])


def opening(folder: Path, facts: Facts) -> Callable[[], Spoken]:
    """What opens the text encoders when the first new prompt comes: torch is imported no sooner."""

    def opened() -> Spoken:
        places = text_places(folder, 2 if facts.prompt.pooled else 1)
        try:
            text: Any = import_module("vivant.engines.diffusion.text")  # optional, and needs torch
        except ImportError as error:
            raise EngineError(
                f"new prompts need torch and transformers ({error}). Run: pip install 'vivant[diffusion]'"
            ) from error
        if weights_hash(encoder for _, encoder in places) != facts.prompt.encoders:
            raise EngineError(
                f"{folder / 'text'} does not hold the text encoders that the card names. Copy the whole "
                "student folder again, or build the student anew."
            )
        import_module("torch").set_num_threads(1)  # the other cores paint
        spoken: Spoken = text.Spoken(text.load_encoders(places))
        return spoken

    return opened


def prompt_store() -> Path:
    """Where embeddings are kept on this machine."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("vivant")) / "prompts"
