"""A diffusion student in use: its engines, loaded for one size, and the buffers they write into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from vivant.engines.card import Card
from vivant.engines.contract import Engine, EngineError, Fitted, Part, Precision, TensorSpec, Wearable
from vivant.engines.diffusion.concepts import Denied
from vivant.engines.diffusion.desk import Desk, Mixer, PromptDesk, texts_of
from vivant.engines.diffusion.embeddings import (
    embedding_of_nothing,
    facts_of,
    image_embedding,
    opening,
    prompt_store,
)
from vivant.engines.diffusion.facts import Facts
from vivant.engines.diffusion.lora_fit import reduce_lora
from vivant.engines.diffusion.noise import SeededNoise
from vivant.engines.diffusion.prompts import Prompt
from vivant.engines.diffusion.steady import Likeness, remembered
from vivant.engines.diffusion.steps import ADVANCE, FRESH, Step, img2img, most_steps, schedule, stream
from vivant.engines.diffusion.wardrobe import Wardrobe, layout_of, names_of, read_loras, read_one
from vivant.engines.diffusion.wiring import guidance_embedding, size_ids
from vivant.engines.diffusion.wishes import Wishes, wishes_of
from vivant.engines.loading import buffers, load_engines
from vivant.engines.walk import Wish, diffusion_walk
from vivant.engines.watched import Through, as_loaded
from vivant.runtime.frames import EMPTY, F32, U8, Array, Controls, Latent

EDGES = (100, 200)  # Canny's thresholds, as ControlNets for edges were trained with
MOST_STEPS = 4


class DiffusionStudent:
    """Owned by one thread. What its methods return are views of its own buffers, valid until the same
    method is called again. Only what was decoded, and so was admitted, is fed back (`feedback`)."""

    def __init__(
        self,
        card: Card,
        folder: Path,
        backend: str,
        precision: Precision,
        engines: Mapping[Part, Engine],
        desk: Desk,
        nothing: Prompt,
        wardrobe: Wardrobe,
        image: Array | None = None,
    ) -> None:
        """`image` (1, 1, D) is the embedding of an image prompt."""
        assert card.diffusion is not None
        self.card, self.folder, self.backend, self.precision = card, folder, backend, precision
        self.ran_precision: Mapping[Part, str] = {part: engines[part].ran_precision for part in engines}
        self._facts, self._engines, self.wardrobe = card.diffusion, engines, wardrobe
        self._desk, self._mixer = desk, Mixer(desk, nothing)
        held = {part: buffers(engine) for part, engine in engines.items()}
        self._frame, self._code = held["encode"]["frame"], held["encode"]["code"]
        self._shown, self._picture = held["decode"]["code"], held["decode"]["picture"]
        # one array for one name: what the denoiser and a ControlNet both take is written once
        self._given: dict[str, Array] = held.get("control", {}) | held["denoise"] | wardrobe.inputs()
        self._denoised = np.zeros_like(self._code)
        height, width = self._picture.shape[1:3]
        self.size_px: tuple[int, int] = (width, height)
        self._noise = SeededNoise(self._code.shape)
        self._started: tuple[object, F32] = (), self._code
        self._rows = np.zeros_like(self._given["code"])  # frames under way, where there are several at once
        self._under_way = False
        self._likeness = Likeness(0.0)
        self._sampler, self._sigmas = self._facts.steps, self._facts.sigmas
        self._painted_for: object = None
        self._before = np.zeros_like(self._code)
        self._painted = self._drawn = 0
        self._skipped = 0
        if image is not None:
            self._given["image"][...] = image
        if "size_ids" in self._given:
            self._given["size_ids"][...] = size_ids(self.size_px)

    @property
    def engines(self) -> Mapping[Part, Engine]:
        """Its engines by part; they close with the student."""
        return self._engines

    @property
    def diffusion(self) -> Facts:
        """What its card says of it as a diffusion model."""
        return self._facts

    @property
    def hash(self) -> str:
        """Hash of the student's graphs (Card.hash)."""
        return self.card.hash

    @property
    def recipes(self) -> tuple[str, ...]:
        """It has no planes."""
        return ()

    @property
    def adapters(self) -> Mapping[str, str]:
        """The sha256 of every adapter that can be worn, by name."""
        return {name: lora.hash for name, lora in self.wardrobe.loras.items()}

    @property
    def facts(self) -> Mapping[str, Any]:
        """What a report says of it."""
        slots = self._facts.adapters
        return {
            "name": self.card.name,
            "kind": self.card.kind,
            "version": self.card.version,
            "hash": self.hash,
            "base": self._facts.base,
            "encoders": self._facts.prompt.encoders,
            "sampler": self._facts.sampler.kind,
            "adapter_slots": slots.slots if slots else 0,
            "adapter_rank": slots.rank if slots else 0,
            "control": self._facts.control,
            "delay_frames": self._facts.batch - 1,
        }

    @property
    def counts(self) -> Mapping[str, int]:
        """Frames that were so like the last painted one that this one's latent was kept; prompts refused."""
        return {"skipped": self._skipped, "prompts_refused": self._desk.refused}

    @property
    def guard_file(self) -> tuple[Path, str]:
        """Path and sha256 of what the guard was fitted to; the hash is empty when the card names none."""
        guard = self.card.guard
        return (self.folder / guard.file, guard.sha256) if guard else (self.folder / "guard.npz", "")

    def prepare(self, controls: Controls) -> None:
        """Waits until the prompts of `controls` are embedded. Raises EngineError."""
        wishes = wishes_of(controls)
        self._desk.wait(texts_of(wishes))
        self._mixer.follow(wishes)

    def deny(self, denied: Denied) -> None:
        """As LoadedStudent.deny."""
        self._desk.deny(denied)

    def refusals(self) -> list[tuple[str, str]]:
        """As LoadedStudent.refusals."""
        return self._desk.refusals()

    def fitted(self, path: Path) -> Fitted:
        """As LoadedStudent.fitted."""
        name, lora = read_one(self._facts, self.card.name, path)
        return Fitted(name, lora.hash, None, lora)

    def hang(self, fitted: Fitted) -> None:
        """As LoadedStudent.hang."""
        self.wardrobe.add(fitted.name, fitted.content)
        self._painted_for = None

    def forget(self) -> None:
        """Take the next frame as the first: nothing is fed back, left out or under way."""
        self._likeness.forget()
        self._under_way = False
        self._painted = self._drawn = 0

    def encode(self, pixels: U8) -> Latent:
        """`pixels` u8 (H, W, 3) sRGB at the student's size -> the clean latent of the frame."""
        if pixels.shape != self._frame.shape[1:] or pixels.dtype != np.uint8:
            raise EngineError(
                f"student {self.card.name} was loaded for frames uint8 {self._frame.shape[1:]}, "
                f"but was given {pixels.dtype} {pixels.shape}"
            )
        np.copyto(self._frame[0], pixels)  # a buffer that stays where the engine has bound it
        if "control" in self._given:
            shown = edges_of(pixels)[0] if self._facts.sees == "edges" else pixels
            self._given["control"][0] = shown.transpose(2, 0, 1) * np.float32(1 / 255)
        self._engines["encode"].run({"frame": self._frame}, {"code": self._code})
        return Latent(self._code, None)

    def denoise(self, latent: Latent, controls: Controls) -> Latent:
        """img2img from `controls.strength` in `controls.steps` steps, as far as so many fit below it."""
        wishes = wishes_of(controls)
        self._mixer.follow(wishes)
        if self._may_skip(latent.code, wishes, controls):
            self._skipped += 1
            return Latent(self._denoised, None)
        self._write_inputs(wishes, controls)
        clean = remembered(latent.code, self._before if self._drawn else None, wishes.feedback)
        np.copyto(self._denoised, self._paint(clean, wishes, controls.stamp_ns / 1e9))
        self._painted += 1
        return Latent(self._denoised, None)

    def wish(self, controls: Controls, pixels: U8) -> Wish:
        """What a whole frame on a device is made of: the same that `denoise` paints, and leaves out."""
        wishes = wishes_of(controls)
        self._mixer.follow(wishes)
        self._write_inputs(wishes, controls)
        steps = self._steps(wishes)
        made = {"sigma", "control", "adapters", *(s.name for e in self._engines.values() for s in e.outputs)}
        given = {
            (part, spec.name): self._given[spec.name]
            for part, engine in self._engines.items()
            for spec in engine.inputs
            if spec.name in self._given and spec.name not in made
        }

        def left_out(code: F32) -> bool:
            skips = self._may_skip(code, wishes, controls)
            self._skipped += skips
            return skips

        return Wish(
            diffusion_walk(steps, ADVANCE[self._facts.sampler.kind]),
            self._noises_of(len(steps), wishes, controls.stamp_ns / 1e9),
            given,
            feedback=wishes.feedback,
            edges=edges_of(pixels) if "control" in self._given and self._facts.sees == "edges" else None,
            left_out=left_out if wishes.skip > 0.0 else None,
        )

    def dress(self, controls: Controls) -> Mapping[str, float]:
        """It has no planes."""
        return EMPTY

    def decode(self, latent: Latent, planes: U8 | None, controls: Controls) -> U8:
        """A judged latent -> u8 (H, W, 4) RGBA. The latent that was decoded last is not decoded again."""
        if latent.code is self._denoised and self._drawn == self._painted:
            same: U8 = self._picture[0]
            return same
        np.copyto(self._shown, latent.code)
        self._engines["decode"].run({"code": self._shown}, {"picture": self._picture})
        self._drawn = self._painted if latent.code is self._denoised else -1
        np.copyto(self._before, latent.code)
        picture: U8 = self._picture[0]
        return picture

    def close(self) -> None:
        """Gives the engines back; closing twice is no error."""
        self._desk.close()
        for engine in self._engines.values():
            engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _may_skip(self, code: F32, wishes: Wishes, controls: Controls) -> bool:
        """A frame is left out only while nothing that is asked for changes, the noise among it."""
        asked = (wishes, dict(controls.adapters), self._mixer.version)
        if asked != self._painted_for or wishes.turn_s > 0.0:
            self._painted_for = asked
            self._likeness.forget()
        self._likeness.tolerance = wishes.skip
        return wishes.skip > 0.0 and self._likeness.skips(code)

    def _paint(self, clean: F32, wishes: Wishes, time_s: float) -> F32:
        steps = self._steps(wishes)
        if not steps:
            return clean

        def drawn(index: int) -> F32:
            return self._noise_of(index, wishes, time_s)

        advance = ADVANCE[self._facts.sampler.kind]
        if self._facts.batch == 1:
            return img2img(self._model, clean, steps, advance, drawn)
        if not self._under_way:
            for row, step in zip(self._rows, steps, strict=True):
                row[...] = clean[0] + drawn(0)[0] * np.float32(step.sigma)
            self._under_way = True
        return stream(self._model, self._rows, clean, steps, advance, drawn)

    def _noise_of(self, index: int, wishes: Wishes, time_s: float) -> F32:
        """What a frame starts with, and what its steps add."""
        if index:
            return self._noise.step(wishes.seed, index)
        return self._noise.start((wishes.seed, wishes.seed_b), wishes.seed_blend, wishes.turn_s, time_s)

    def _noises_of(self, count: int, wishes: Wishes, time_s: float) -> tuple[F32, ...]:
        """Every noise of a frame, each the same array as long as it is the same noise."""
        key = (wishes.seed, wishes.seed_b, wishes.seed_blend, wishes.turn_s, time_s * (wishes.turn_s > 0.0))
        if key != self._started[0]:
            self._started = key, self._noise_of(0, wishes, time_s).copy()
        added = range(1, count) if self._facts.sampler.kind in FRESH else ()
        return (self._started[1], *(self._noise_of(index, wishes, time_s) for index in added))

    def _steps(self, wishes: Wishes) -> tuple[Step, ...]:
        """The steps of a frame; none at a strength so low that there is no timestep below it."""
        batch = self._facts.batch
        asked = batch if batch > 1 else min(max(wishes.steps, 1), MOST_STEPS)
        fit = most_steps(self._sampler, len(self._sigmas), asked, wishes.strength)
        if not fit or fit < batch:
            return ()
        return schedule(self._sampler, self._sigmas, fit, wishes.strength)

    def _model(self, x: F32, sigma: float | Sequence[float]) -> F32:
        given = self._given
        np.copyto(given["code"], x)
        given["sigma"][:, 0] = sigma
        for part in ("control", "denoise"):
            engine = self._engines.get(part)
            if engine is not None:
                engine.run(
                    *({s.name: given[s.name] for s in side} for side in (engine.inputs, engine.outputs))
                )
        denoised: F32 = given["denoised"]
        return denoised

    def _write_inputs(self, wishes: Wishes, controls: Controls) -> None:
        prompt, negative = self._mixer.prompt, self._mixer.negative
        values: dict[str, Any] = {
            "prompt": prompt.tokens,
            "pooled": prompt.pooled,
            "negative": negative.tokens,
            "negative_pooled": negative.pooled,
            "cfg_scale": wishes.guidance,
            "control_scale": wishes.control_scale,
            "image_scale": wishes.image_scale,
        }
        for name in values.keys() & self._given.keys():
            self._given[name][...] = values[name]
        if "guidance" in self._given:
            self._given["guidance"][...] = guidance_embedding(wishes.guidance, self._facts.guidance or 0)
        self.wardrobe.wear(controls.adapters)


def _named(specs: tuple[TensorSpec, ...], arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {spec.name: arrays[spec.name] for spec in specs}


def edges_of(pixels: U8) -> U8:
    """What a ControlNet for edges is shown of a frame, (1, H, W, 1)."""
    import cv2

    edges = np.asarray(cv2.Canny(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), *EDGES), np.uint8)
    return edges[None, ..., None]


def load(
    folder: Path,
    card: Card,
    backend: str,
    precision: Precision,
    size_px: tuple[int, int],
    threads: int,
    adapters: Iterable[Path],
    through: Through = as_loaded,
) -> DiffusionStudent:
    """As vivant.engines.kinds.load_student."""
    facts = facts_of(card)
    loras = read_loras(facts, card.name, adapters)
    nothing = embedding_of_nothing(folder, card)
    engines = load_engines(folder, card, backend, precision, size_px, threads, through)
    desk = PromptDesk(facts.prompt.encoders, opening(folder, facts), prompt_store(), nothing)
    image = image_embedding(folder, card)
    return DiffusionStudent(
        card, folder, backend, precision, engines, desk, nothing, Wardrobe(facts, loras), image
    )


def wardrobe(card: Card, more: Iterable[Path] = ()) -> dict[str, Wearable]:
    """As vivant.engines.kinds.StudentKind; none come with vivant."""
    facts = facts_of(card)
    files = names_of(more)
    read_loras(facts, card.name, files.values())
    return {name: Wearable(path, f"from {path.name}", False) for name, path in files.items()}


def inspect(card: Card, path: Path) -> tuple[str, Wearable]:
    """As vivant.engines.kinds.StudentKind."""
    name, lora = read_one(facts_of(card), card.name, path)
    return name, Wearable(path, f"from {path.name}", False, lora.rank, lora.license)


def reduce_adapter(card: Card, path: Path, rank: int, out: Path) -> Mapping[str, float]:
    """As vivant.engines.kinds.StudentKind."""
    facts = facts_of(card)
    return reduce_lora(path, layout_of(facts, card.name, path), facts.layers, rank, out)
