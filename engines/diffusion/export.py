"""A diffusion model as the three graphs of a student: encode, denoise, decode; and how near they come.

The guard's latent is the model's own: encode gives it scaled as the UNet takes it, denoise keeps it so, and
decode takes nothing else. Needs torch, diffusers and onnx.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vivant.engines.contract import EngineError
from vivant.engines.quantize import WHOLE_BYTES, save
from vivant.runtime.frames import Array

OPSET = 17
BYTE = 127.5  # half the range of a byte: frames are u8, networks take [-1, 1]
AXES: Mapping[str, Mapping[int, str]] = {
    "frame": {1: "height", 2: "width"},
    "picture": {1: "height", 2: "width"},
    "control": {2: "height", 3: "width"},
    "code": {2: "eighth_height", 3: "eighth_width"},
    "denoised": {2: "eighth_height", 3: "eighth_width"},
}


class Encode(nn.Module):
    """`frame` u8 (1, H, W, 3) sRGB -> `code` (1, 4, H/8, W/8), about unit variance.

    Of AutoencoderKL's distribution the mode is taken: the same frame has one code.
    """

    names = ("frame",)
    outputs = ("code",)

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae
        self.scale, self.shift = code_scale(vae)

    def forward(self, frame: Tensor) -> Tensor:
        x = (frame.float() * (1 / BYTE) - 1).permute(0, 3, 1, 2)
        made = self.vae.encode(x)  # type: ignore[operator]  # an autoencoder of diffusers
        clean: Tensor = made.latents if hasattr(made, "latents") else made.latent_dist.mode()
        return (clean - self.shift) * self.scale


class Decode(nn.Module):
    """`code` (1, 4, H/8, W/8) -> `picture` u8 (1, H, W, 4) RGBA, alpha 255."""

    names = ("code",)
    outputs = ("picture",)

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae
        self.scale, self.shift = code_scale(vae)

    def forward(self, code: Tensor) -> Tensor:
        x = self.vae.decode(code * (1 / self.scale) + self.shift).sample  # type: ignore[operator]
        rgba = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        return (rgba * BYTE + BYTE).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def code_scale(vae: Any) -> tuple[float, float]:  # diffusers has no types for its configs
    """What a code is multiplied by, and what is taken from it before."""
    return float(vae.config.scaling_factor), float(getattr(vae.config, "shift_factor", None) or 0.0)


def write_graph(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    whole_bytes: int = WHOLE_BYTES,
    half: bool = False,
) -> None:
    """Write one float graph with symbolic height and width, checked. `inputs` by name, in order;
    `whole_bytes` as in vivant.engines.quantize.save; `half` as in store_half. Raises EngineError for an input
    that the network does not use."""
    import onnx

    with TemporaryDirectory(dir=path.parent) as scattered:  # the exporter puts large weights one by one
        first = Path(scattered) / path.name
        _export(module, inputs, outputs, first)
        onnx.checker.check_model(str(first), full_check=False)
        model = onnx.load(first)
    found = [each.name for each in model.graph.input]
    if found != list(inputs):
        lost = ", ".join(set(inputs) - set(found))
        raise EngineError(f"{path}: the network does not use {lost}; leave it out of the wiring")
    if half:
        store_half(model)
    save(model, path, whole_bytes)


def store_half(model: Any, least: int = 1024) -> int:  # onnx.ModelProto
    """Store weights of at least so many numbers as float16, which runtimes widen again at load: half the
    file, and nothing lost where the model itself came in half precision. Weights beyond its range stay.
    Says how many were stored so."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for initializer in model.graph.initializer:
        if initializer.data_type != TensorProto.FLOAT or np.prod(initializer.dims) < least:
            continue
        with np.errstate(over="ignore"):
            narrow = numpy_helper.to_array(initializer).astype(np.float16)
        if not np.isfinite(narrow).all():
            continue
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(narrow, f"{name}.half"))
        casts.append(
            helper.make_node("Cast", [f"{name}.half"], [name], f"{name}.widened", to=TensorProto.FLOAT)
        )
    whole = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(whole)
    return len(casts)


def _export(module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path) -> None:
    axes: dict[str, dict[int, str]] = {}
    for name in (*inputs, *outputs):
        if name.startswith("residual_"):
            axes[name] = {2: f"{name}_height", 3: f"{name}_width"}
        elif name in AXES:
            axes[name] = dict(AXES[name])
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # sizes are traced as wanted; the newer exporter needs onnxscript
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a graph's outputs are from the network's: `most` and `mean` absolute difference, `psnr_db`
    against the range of the network's output."""

    most: float
    mean: float
    psnr_db: float


def parity(path: Path, inputs: Mapping[str, Array], wanted: Array, output: int = 0) -> Parity:
    """Run a graph on onnxruntime and compare one of its outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores too
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    made = session.run(None, dict(inputs))[output]
    return compared(made, wanted)


def compared(made: Array, wanted: Array) -> Parity:
    """Raises EngineError when the shapes differ."""
    if made.shape != wanted.shape:
        raise EngineError(f"the graph gives {made.shape}, and the network {wanted.shape}")
    difference = np.abs(made.astype(np.float64) - wanted)
    span = float(wanted.max()) - float(wanted.min())
    noise = float((difference**2).mean())
    psnr = 10 * float(np.log10(span**2 / noise)) if noise > 0.0 and span > 0.0 else float("inf")
    return Parity(float(difference.max()), float(difference.mean()), psnr)
