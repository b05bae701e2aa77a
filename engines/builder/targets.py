"""What a word on the command line means: a student, a model's folder, or a model on the hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vivant.engines.builder.errors import BuildError
from vivant.engines.contract import EngineError
from vivant.engines.student import find

MODEL = "model_index.json"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")  # of a model on the hub: no pickles


@dataclass(frozen=True, slots=True)
class Target:
    """A student's folder, or that of a diffusers model; `name` is what it is called."""

    folder: Path
    is_model: bool
    name: str


def target_of(word: str, download: bool = False) -> Target:
    """Raises EngineError for what is neither, and for a pickle, which is never opened."""
    place = Path(word).expanduser()
    if place.suffix.lower() in PICKLES:
        raise BuildError(
            f"{word} is a pickle: loading it can run any code that is in it, so it is never opened. Save the "
            "model as a diffusers folder of safetensors (pipeline.save_pretrained(FOLDER)) and name that."
        )
    if place.suffix.lower() == ".safetensors":
        raise BuildError(
            f"{word} is a single file: its layers do not say which model they are of. Open it once with "
            "diffusers (from_single_file) and save a folder: pipeline.save_pretrained(FOLDER)."
        )
    if (place / MODEL).is_file():
        return Target(place, True, slug(place.resolve().name))
    try:
        folder = find(word)
    except EngineError as error:
        if HUB_NAME.fullmatch(word) and not place.exists():
            return Target(_fetched(word, download), True, slug(word.rpartition("/")[2]))
        raise BuildError(f"{error} Nor is it a diffusers folder (one with a {MODEL}).") from error
    return Target(folder, False, slug(folder.name if folder == place else word))


def slug(text: str) -> str:
    """As a student may be called: small letters, digits and dashes, a letter first."""
    found = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")
    return found if found[:1].isalpha() else f"student-{found}".strip("-")


def _fetched(name: str, download: bool) -> Path:
    """A model of the hub: what lies here already, or with leave fetched now. Raises BuildError."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise BuildError(
            f"{name} looks like a model on the hub, and huggingface_hub is not installed. Run: pip install "
            "'vivant[diffusion]', or give a folder."
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED), local_files_only=not download))
    except LocalEntryNotFoundError as error:
        raise BuildError(
            f"{name} is not on this machine. Give --download to fetch it from the hub (gigabytes; mind its "
            "license), or a folder."
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise BuildError(f"{name} cannot be fetched from the hub: {str(error).splitlines()[0]}") from error
