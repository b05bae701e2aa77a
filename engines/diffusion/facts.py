"""What a diffusion student's card says of it, and what its graphs take at a size. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vivant.engines.contract import EngineError, Part, TensorSpec
from vivant.engines.diffusion.bank import Layout, Site
from vivant.engines.diffusion.model import LATENT, PIXELS
from vivant.engines.diffusion.steps import Kind, Sampler, sigmas_of
from vivant.engines.diffusion.wiring import Prediction, Wiring

Count = Annotated[int, Field(ge=1)]
Specs = tuple[TensorSpec, ...]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamplerFacts(_Entry):
    """As vivant.engines.diffusion.steps.Sampler; `noise` are the entries of the model's scheduler_config.json
    that its sigmas are computed from."""

    kind: Kind
    grid: Count | None = None
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    ends_clean: bool = True
    noise: dict[str, Any]


class PromptFacts(_Entry):
    """Shape (1, tokens, width) of an embedding, and of SDXL's pooled one (1, pooled). `encoders` is the
    sha256 of the text encoders' weights: what embeddings are kept by."""

    tokens: Count
    width: Count
    pooled: Count | None = None
    encoders: str


class ResidualFacts(_Entry):
    """One of a ControlNet's outputs: its channels, and how many code pixels one of its pixels is wide."""

    channels: Count
    stride: Count


class SlotFacts(_Entry):
    """Adapter slots; `sites` by layer: inputs, outputs, kernel height and width, in a row's order."""

    slots: Count
    rank: Count
    sites: dict[str, tuple[int, int, int, int]]

    @property
    def layout(self) -> Layout:
        found = (Site(name, i, o, (h, w)) for name, (i, o, h, w) in self.sites.items())
        return Layout(tuple(found), self.slots, self.rank)


class Facts(_Entry):
    """A diffusion student. `guidance` is the length of an LCM's guidance embedding, `image` that of an image
    prompt; `sees` is what a ControlNet is shown of a frame; `layers` the UNet's layers per block, None where
    it differs; `batch` how many frames are denoised at once (steps.stream); `base` the sha256 of the UNet's
    and the autoencoder's weights and of what was fused in."""

    prediction: Prediction
    boundary: float | None = None
    sampler: SamplerFacts
    prompt: PromptFacts
    guidance: Count | None = None
    negative: bool = False
    image: Count | None = None
    control: Literal["none", "fused", "residuals"] = "none"
    sees: Literal["edges", "frame"] = "edges"
    residuals: tuple[ResidualFacts, ...] = ()
    adapters: SlotFacts | None = None
    layers: int | None = 2
    batch: Annotated[int, Field(ge=1, le=4)] = 1
    size_multiple: Annotated[int, Field(ge=8, multiple_of=8)]
    default_size: Annotated[int, Field(ge=32)]
    base: str

    @property
    def wiring(self) -> Wiring:
        return Wiring(
            prediction=self.prediction,
            boundary=self.boundary,
            pooled=self.prompt.pooled is not None,
            guidance=self.guidance is not None,
            negative=self.negative,
            image=self.image is not None,
            control=self.control,
            residuals=len(self.residuals),
        )

    @property
    def steps(self) -> Sampler:
        own = self.sampler
        return Sampler(own.kind, own.grid, own.eta, own.ends_clean)

    @property
    def sigmas(self) -> NDArray[np.float64]:
        return sigmas_of(self.sampler.noise)

    def specs(self, part: Part, size_px: tuple[int, int]) -> tuple[Specs, Specs]:
        """Inputs and outputs of one graph at `size_px` (width, height), in the graph's order. Raises
        EngineError for a size that is no multiple of `size_multiple`."""
        width, height = size_px
        code = self._code(size_px)
        frame = TensorSpec("frame", "uint8", (1, height, width, 3))
        picture = TensorSpec("picture", "uint8", (1, height, width, 4))
        entering = TensorSpec("code", "float32", code)
        if part == "encode":
            return (frame,), (entering,)
        if part == "decode":
            return (entering,), (picture,)
        if part == "control":
            return self.control_specs(size_px)
        many = (self.batch, *code[1:])
        shapes = dict(self._shapes(code)) | {"code": many, "sigma": (self.batch, 1)}
        names = self.wiring.names(self.adapters is not None)
        given = tuple(TensorSpec(name, "float32", shapes[name]) for name in names)
        return given, (TensorSpec("denoised", "float32", many),)

    def control_specs(self, size_px: tuple[int, int]) -> tuple[Specs, Specs]:
        """As specs, for a ControlNet with an engine of its own (control.Control)."""
        shapes = self._shapes(self._code(size_px))
        pooled = ["pooled", "size_ids"] * (self.prompt.pooled is not None)
        names = ("code", "sigma", "prompt", *pooled, "control", "control_scale")
        given = tuple(TensorSpec(name, "float32", shapes[name]) for name in names)
        made = (TensorSpec(n, "float32", shape) for n, shape in shapes.items() if n.startswith("residual_"))
        return given, tuple(made)

    def _code(self, size_px: tuple[int, int]) -> tuple[int, int, int, int]:
        width, height = size_px
        step = self.size_multiple
        if min(size_px) < step or width % step or height % step:
            raise EngineError(f"{width}x{height} does not fit: both sides must be multiples of {step}")
        return (1, LATENT, height // PIXELS, width // PIXELS)

    def _shapes(self, code: tuple[int, int, int, int]) -> Mapping[str, tuple[int, ...]]:
        high, wide = code[2:]
        words = (1, self.prompt.tokens, self.prompt.width)
        found: dict[str, tuple[int, ...]] = {"code": code, "prompt": words, "negative": words}
        found |= dict.fromkeys(("sigma", "cfg_scale", "image_scale", "control_scale"), (1, 1))
        found |= dict.fromkeys(("pooled", "negative_pooled"), (1, self.prompt.pooled or 0))
        found |= {"size_ids": (1, 6), "guidance": (1, self.guidance or 0), "image": (1, 1, self.image or 0)}
        found["control"] = (1, 3, PIXELS * high, PIXELS * wide)
        for i, one in enumerate(self.residuals):
            found[f"residual_{i:02d}"] = (1, one.channels, high // one.stride, wide // one.stride)
        if self.adapters is not None:
            found["adapters"] = (self.adapters.slots, self.adapters.layout.width)
            found["adapter_scale"] = (1, self.adapters.slots)
        return found
