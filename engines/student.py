"""A house student in use: its three engines, loaded for one size, and the buffers they write into. Also
where students of every kind lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from vivant.engines.adapter import (
    ADAPTED,
    Adapter,
    AdapterInfo,
    Wardrobe,
    dressed,
    read_adapter,
    read_info,
    wearable,
)
from vivant.engines.adapter_fit import reduced_adapter
from vivant.engines.card import CARD, Card
from vivant.engines.contract import PARTS, Engine, EngineError, Fitted, Part, Precision, Wearable
from vivant.engines.loading import buffers, load_engines
from vivant.engines.slots import LAYOUT
from vivant.engines.walk import falling
from vivant.engines.watched import Through, as_loaded
from vivant.runtime.frames import EMPTY, F32, U8, Controls, Latent

SHIPPED = Path(__file__).parent / "students"


def shipped() -> dict[str, Path]:
    """The folders of the students that come with vivant, by name."""
    return {path.parent.name: path.parent for path in sorted(SHIPPED.glob(f"*/{CARD}"))}


def built() -> dict[str, Path]:
    """The folders of the students that were built on this machine, by name."""
    import platformdirs

    folder = Path(platformdirs.user_data_dir("vivant")) / "students"
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{CARD}"))}


def find(name_or_folder: str | Path) -> Path:
    """The folder of a student: a name of one that ships or was built here, or a folder with a card.json.
    Raises EngineError."""
    here = built() | shipped()
    name = str(name_or_folder)
    if name in here:
        return here[name]
    try:
        if (Path(name) / CARD).is_file():
            return Path(name)
    except OSError as error:  # too long for a path
        raise EngineError(f"there is no student '{name[:40]}...': {error.strerror}") from error
    near = get_close_matches(name, here, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise EngineError(
        f"there is no student '{name}': neither here ({', '.join(here) or 'none'}) "
        f"nor a folder with a {CARD}.{hint}"
    )


class Student:
    """Owned by one thread. What its methods return are views of its own buffers, valid until the same
    method is called again."""

    def __init__(
        self,
        card: Card,
        folder: Path,
        backend: str,
        precision: Precision,
        engines: Mapping[Part, Engine],
        adapters: Iterable[Adapter] = (),
    ) -> None:
        self.card = card
        self.folder = folder
        self.backend = backend
        self.precision = precision
        self.ran_precision: Mapping[Part, str] = {part: engines[part].ran_precision for part in PARTS}
        self._engines = engines
        encode, denoise, decode = (buffers(engines[part]) for part in PARTS)
        self._frame, self._code, self._guide = encode["frame"], encode["code"], encode["guide"]
        self._noisy, self._sigma, self._style = denoise["code"], denoise["sigma"], denoise["style"]
        self._denoised, self._picture = denoise["denoised"], decode["picture"]
        height, width = self._picture.shape[1:3]
        self.size_px: tuple[int, int] = (width, height)
        self._noise = np.empty_like(self._noisy)
        self._part = np.empty_like(self._noisy)
        self._seed: int | None = None
        self._dressed_for: Controls | None = None
        self._wanted: dict[str, float] = {}
        self.wardrobe = Wardrobe(card, adapters)
        self._worn: dict[Part, dict[str, F32]] = {part: {} for part in ADAPTED}
        self._worn |= {part: slots.inputs() for part, slots in self.wardrobe.parts.items()}

    @property
    def engines(self) -> Mapping[Part, Engine]:
        """Its engines by part; they close with the student."""
        return self._engines

    def prepare(self, controls: Controls) -> None:
        """Nothing here takes long."""

    def deny(self, denied: object) -> None:
        """As LoadedStudent.deny."""
        raise EngineError(
            f"student {self.card.name} takes no prompts, so there is no text encoder to hold them against "
            "denied concepts. Take denied_concepts out of [words]"
        )

    def refusals(self) -> list[tuple[str, str]]:
        """As LoadedStudent.refusals."""
        return []

    def forget(self) -> None:
        """It remembers nothing from frame to frame."""

    def fitted(self, path: Path) -> Fitted:
        """As LoadedStudent.fitted."""
        adapter = read_adapter(path, self.card)
        if adapter.info.name in self.card.styles:
            raise EngineError(
                f"{path} is named '{adapter.info.name}', and so is a style of {self.card.name}. Rename it"
            )
        return Fitted(adapter.info.name, adapter.hash, adapter.info.recipe, adapter)

    def hang(self, fitted: Fitted) -> None:
        """As LoadedStudent.hang."""
        self.wardrobe.add(fitted.content)
        self._dressed_for = None

    @property
    def hash(self) -> str:
        """Hash of the student's graphs and weights (Card.hash)."""
        return self.card.hash

    @property
    def recipes(self) -> tuple[str, ...]:
        """Every recipe that `dress` may ask planes for: those of the styles and of the adapters."""
        own = [one.info.recipe for one in self.wardrobe.adapters.values()]
        return (*self.card.styles, *dict.fromkeys(recipe for recipe in own if recipe is not None))

    @property
    def adapters(self) -> Mapping[str, str]:
        """The sha256 of every adapter that can be worn, by name."""
        return {name: one.hash for name, one in self.wardrobe.adapters.items()}

    @property
    def facts(self) -> Mapping[str, Any]:
        """What a report says of it."""
        return {
            "name": self.card.name,
            "kind": self.card.kind,
            "version": self.card.version,
            "hash": self.hash,
            "styles": list(self.card.styles),
        }

    @property
    def counts(self) -> Mapping[str, int]:
        """It paints every frame and refuses nothing."""
        return EMPTY

    @property
    def guard_file(self) -> tuple[Path, str]:
        """Path and sha256 of what the guard was fitted to; the hash is empty when the card names none."""
        guard = self.card.guard
        return (self.folder / guard.file, guard.sha256) if guard else (self.folder / "guard.npz", "")

    def encode(self, pixels: U8) -> Latent:
        """`pixels` u8 (H, W, 3) sRGB at the student's size -> the clean latent of the frame."""
        if pixels.shape != self._frame.shape[1:] or pixels.dtype != np.uint8:
            raise EngineError(
                f"student {self.card.name} was loaded for frames uint8 {self._frame.shape[1:]}, "
                f"but was given {pixels.dtype} {pixels.shape}"
            )
        np.copyto(self._frame[0], pixels)  # a buffer that stays where the engine has bound it
        self._engines["encode"].run({"frame": self._frame}, {"code": self._code, "guide": self._guide})
        return Latent(self._code, self._guide)

    def denoise(self, latent: Latent, controls: Controls) -> Latent:
        """img2img: noise of `controls.seed` is mixed in at `controls.strength` (clipped to the card's
        sigma_range) and taken out in `controls.steps` steps of falling sigma."""
        guide = self._guided(latent)
        low, high = self.card.sigma_range
        sigma = min(max(controls.strength, low), high)
        self._hold_noise(controls.seed)
        self.dress(controls)
        np.multiply(latent.code, 1 - sigma, out=self._noisy)
        np.multiply(self._noise, sigma, out=self._part)
        np.add(self._noisy, self._part, out=self._noisy)
        for level, then in pairwise(falling(sigma, controls.steps)):
            self._sigma[0, 0] = level
            self._engines["denoise"].run(
                {
                    "code": self._noisy,
                    "guide": guide,
                    "sigma": self._sigma,
                    "style": self._style,
                    **self._worn["denoise"],
                },
                {"denoised": self._denoised},
            )
            if then > 0.0:
                self._euler_step(level, then)
        return Latent(self._denoised, latent.guide)

    def _euler_step(self, sigma: float, then: float) -> None:
        """The noisy code from one level to a lower one, along the line through the denoised code (Euler's
        method, as k-diffusion has it)."""
        share = then / sigma
        np.multiply(self._noisy, share, out=self._noisy)
        np.multiply(self._denoised, (1 - then) - share * (1 - sigma), out=self._part)
        np.add(self._noisy, self._part, out=self._noisy)

    def decode(self, latent: Latent, planes: U8 | None, controls: Controls) -> U8:
        """A judged latent and the planes made from its guide, u8 (1, H/2, W/2, CHANNELS) -> u8 (H, W, 4)
        RGBA."""
        if planes is None:
            raise EngineError(f"student {self.card.name} paints with planes, and was given none")
        self.dress(controls)
        self._engines["decode"].run(
            {
                "code": latent.code,
                "guide": self._guided(latent),
                "planes": planes,
                "style": self._style,
                **self._worn["decode"],
            },
            {"picture": self._picture},
        )
        picture: U8 = self._picture[0]
        return picture

    def dress(self, controls: Controls) -> dict[str, float]:
        """Sets style weights and adapters for the next run; what the planes are to be made for, by recipe."""
        if controls is not self._dressed_for:  # denoise, planes and decode ask for one frame in turn
            self._wanted, self._style[...] = dressed(self.card, self.wardrobe, controls)
            self._dressed_for = controls
        return self._wanted

    def close(self) -> None:
        """Gives the engines back; closing twice is no error."""
        for engine in self._engines.values():
            engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _guided(self, latent: Latent) -> F32:
        if latent.guide is None:
            raise EngineError(f"student {self.card.name} has latents with a guide, and was given one without")
        return latent.guide

    def _hold_noise(self, seed: int) -> None:
        """Philox is counter-based: one seed and size give one noise, whatever was drawn before."""
        if seed != self._seed:
            np.random.Generator(np.random.Philox(key=seed)).standard_normal(out=self._noise, dtype=np.float32)
            self._seed = seed


def load(
    folder: Path,
    card: Card,
    backend: str,
    precision: Precision,
    size_px: tuple[int, int],
    threads: int,
    adapters: Iterable[Path],
    through: Through = as_loaded,
) -> Student:
    """As vivant.engines.kinds.load_student."""
    if card.planes != LAYOUT:
        raise EngineError(
            f"student {card.name} paints with planes '{card.planes}', but this version has '{LAYOUT}'. "
            "Export the student anew, or install the version of vivant that it was made with."
        )
    files = wearable(card, adapters).values() if card.adapters else ()
    worn = [read_adapter(path, card) for path in files]
    engines = load_engines(folder, card, backend, precision, size_px, threads, through)
    return Student(card, folder, backend, precision, engines, worn)


def wardrobe(card: Card, more: Iterable[Path] = ()) -> dict[str, Wearable]:
    """As vivant.engines.kinds.StudentKind."""
    return {name: _worn(path, read_info(path)) for name, path in wearable(card, more).items()}


def inspect(card: Card, path: Path) -> tuple[str, Wearable]:
    """As vivant.engines.kinds.StudentKind."""
    info = read_adapter(path, card).info
    return info.name, _worn(path, info)


def _worn(path: Path, info: AdapterInfo) -> Wearable:
    return Wearable(path, info.summary, info.host is not None, info.rank, info.license)


def reduce_adapter(card: Card, path: Path, rank: int, out: Path) -> Mapping[str, float]:
    """As vivant.engines.kinds.StudentKind."""
    return reduced_adapter(path, card, rank, out)
