"""A diffusion student of SD-Turbo's shape with random weights on a GPU, beside StreamDiffusion's own pipeline
on the same weights in the same run, one frame of each in turn.

    python -P -m vivant.tools.bench_peer --peer FOLDER --size 512 --seconds 20 --json out/peer.json

FOLDER is a checkout of StreamDiffusion (its src/ is imported from there; nothing of it is part of Vivant).
Both get a camera's frame on the host and hand a picture back to the host, in one denoising step. The peer's
pictures are brought to bytes on the GPU, which is kinder to it than its own way through PIL. It has no guard;
ours has.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, Literal

import numpy as np
import torch

from vivant.engines.bench import moving_scene
from vivant.engines.contract import EngineError, Part
from vivant.engines.cuda import OnFailure
from vivant.engines.diffusion.noise import noise
from vivant.engines.diffusion.steps import ADVANCE, schedule
from vivant.engines.diffusion.torch_parts import (
    SD_NOISE,
    Networks,
    random_facts,
    random_networks,
    torch_parts,
)
from vivant.engines.walk import Wish, diffusion_walk
from vivant.guardrails.device import DeviceGuard
from vivant.runtime.frames import U8, Controls
from vivant.runtime.whole import WholeFrame
from vivant.tools.random_student import all_admitting

WARM_UP: Final = 5
FRAMES: Final = 8
PEER_STEPS: Final = 50  # num_inference_steps in all of its examples
Painter = Callable[[U8], Mapping[str, float]]
"""Paints one frame u8 (H, W, 3) and returns when the picture is on the host; what its stages took, if
known."""


class RandomStudent:
    """Random networks as WholeFrame wants a student: one step at half strength, one prompt, one noise."""

    steps: tuple[int, ...] = (1,)
    noises = 1
    kept: Mapping[tuple[Part, str], torch.Tensor] = MappingProxyType({})
    sees: Literal["edges", "frame"] | None = None
    leaves_out = False

    def __init__(self, networks: Networks, size: int, made_faster: Callable[[Any], Any], tokens: int) -> None:
        facts = random_facts(networks, size, tokens)
        self.parts: Mapping[Part, Any] = torch_parts(networks, facts, (size, size), made_faster)
        self.device: torch.device = networks.unet.device
        taken = schedule(facts.steps, facts.sigmas, 1, 0.5)
        self._walk = diffusion_walk(taken, ADVANCE[facts.sampler.kind])
        self._noise = noise(0, facts.specs("encode", (size, size))[1][0].shape)
        self._prompt = noise(1, (1, facts.prompt.tokens, facts.prompt.width))

    def asks(self, controls: Controls, pixels: U8) -> Wish:
        return Wish(self._walk, (self._noise,), {("denoise", "prompt"): self._prompt})


def ours(
    networks: Networks,
    size: int,
    made_faster: Callable[[Any], Any] = lambda network: network,
    on_failure: OnFailure = "stop",
    tokens: int = 77,
) -> Painter:
    """The whole frame with its guard, which measures and admits everything: what it costs is what it always
    costs."""
    student = RandomStudent(networks, size, made_faster, tokens)
    channels = 4
    guard = DeviceGuard(all_admitting(channels), (1, channels, size // 8, size // 8), None, student.device)
    whole = WholeFrame(student, guard, (), 0, on_failure)
    return lambda pixels: whole.picture(pixels, Controls(), 0.0, 0.0, 0.0).timings_ms


def peers(folder: Path, networks: Networks, size: int, tokens: int = 77) -> Painter:
    """StreamDiffusion's pipeline, in one step, as its examples make it. Raises EngineError when `folder`
    holds none."""
    source = folder / "src"
    if not (source / "streamdiffusion" / "pipeline.py").is_file():
        raise EngineError(f"--peer {folder} holds no src/streamdiffusion: give a checkout of StreamDiffusion")
    sys.path.insert(0, str(source))
    try:
        peer: Any = import_module("streamdiffusion.pipeline").StreamDiffusion
    finally:
        sys.path.remove(str(source))
    device, dtype = networks.unet.device, networks.unet.dtype
    prompt = torch.from_numpy(noise(1, (1, tokens, networks.unet.config.cross_attention_dim)))
    scheduler = import_module("diffusers").EulerDiscreteScheduler(**SD_NOISE, timestep_spacing="trailing")
    pipe = SimpleNamespace(
        device=device,
        vae_scale_factor=8,
        scheduler=scheduler,
        text_encoder=None,
        unet=networks.unet,
        vae=networks.vae,
        encode_prompt=lambda **_: (prompt.to(device, dtype), None),
    )
    stream = peer(pipe, [PEER_STEPS // 2], dtype, size, size, cfg_type="none")
    stream.prepare("random", num_inference_steps=PEER_STEPS, guidance_scale=1.0)

    @torch.no_grad()
    def paint(pixels: U8) -> dict[str, float]:
        given = torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None].to(dtype) / 255
        made = stream(given)
        made = ((made / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        made[0].permute(1, 2, 0).cpu().numpy()
        return {}

    return paint


@dataclass(slots=True)
class Racer:
    """A painter and its times, `total` from frame to picture on the host's clock."""

    name: str
    paint: Painter
    times_ms: dict[str, list[float]] = field(default_factory=dict)

    def run(self, pixels: U8, counted: bool) -> None:
        begun = time.perf_counter_ns()
        took = {**self.paint(pixels)}
        took["total"] = (time.perf_counter_ns() - begun) / 1e6
        for stage, ms in took.items() if counted else ():
            self.times_ms.setdefault(stage, []).append(ms)


def race(racers: Sequence[Racer], size: int, seconds: float) -> None:
    """Paints with each in turn for `seconds`, in another order each round."""
    frames = moving_scene((size, size))
    for racer in racers:
        for _ in range(WARM_UP):
            racer.run(frames[0], counted=False)
    begun, rounds = time.perf_counter(), 0
    while rounds == 0 or time.perf_counter() - begun < seconds:
        for turn in range(len(racers)):
            racers[(turn + rounds) % len(racers)].run(frames[rounds % FRAMES], counted=True)
        rounds += 1


def rows_of(racers: Sequence[Racer], size: int) -> list[dict[str, Any]]:
    """A row for each racer and stage, like those of `vivant bench --json`."""
    found = []
    for racer in racers:
        for stage, times in racer.times_ms.items():
            p50, p95, p99 = np.percentile(times, (50, 95, 99)).round(3).tolist()
            figures = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "runs": len(times)}
            found.append({"on": racer.name, "size": f"{size}x{size}", "stage": stage} | figures)
    return found


def told(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table in Markdown, and how many times longer the peer took."""
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    stages = [*(stage for stage in stages if stage != "total"), "total"]
    lines = ["| p50 / p99 ms | " + " | ".join(stages) + " |", "|---" * (len(stages) + 1) + "|"]
    totals = {}
    for name in dict.fromkeys(row["on"] for row in rows):
        mine = {row["stage"]: row for row in rows if row["on"] == name}
        cells = [f"{mine[s]['p50_ms']:.2f} / {mine[s]['p99_ms']:.2f}" if s in mine else "" for s in stages]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        totals[name] = mine["total"]["p50_ms"]
    if PEER in totals:
        others = {name: ms for name, ms in totals.items() if name != PEER}
        lines += ["", *(f"{PEER} / {name}: {totals[PEER] / ms:.2f} (p50)" for name, ms in others.items())]
    return "\n".join(lines)


PEER: Final = "StreamDiffusion, float16"


def compiled(network: Any) -> Any:
    """A network through torch.compile: minutes, once."""
    return torch.compile(network, mode="max-autotune-no-cudagraphs", dynamic=False)


def int8(network: Any) -> Any:
    """A network whose linear layers multiply in INT8, activations measured as they come (torchao), compiled.
    Convolutions, most of a UNet's work, stay as they are: torchao has none for them. To be measured, against
    the same network compiled, before anything is said of it."""
    quantization: Any = import_module("torchao.quantization")  # optional
    quantization.quantize_(network, quantization.Int8DynamicActivationInt8WeightConfig())
    return compiled(network)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", type=Path, help="a checkout of StreamDiffusion; ours alone if not given")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--compile", action="store_true", help="ours through torch.compile as well (minutes)")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="an experiment: ours with torchao's INT8 in linear layers, compiled",
    )
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no NVIDIA GPU that torch can use here; look at: vivant doctor")
    networks = random_networks(torch.device("cuda", 0), torch.float16)
    # ours changes how weights lie in memory
    theirs, again, more = (copy.deepcopy(networks) for _ in range(3))
    racers = [Racer("vivant, float16, one CUDA graph", ours(networks, asked.size))]
    if asked.peer:
        racers.append(Racer(PEER, peers(asked.peer, theirs, asked.size)))
    if asked.compile:
        racers.append(Racer("vivant, float16, compiled, one CUDA graph", ours(again, asked.size, compiled)))
    if asked.int8:
        racers.append(Racer("vivant, torchao INT8, compiled, one CUDA graph", ours(more, asked.size, int8)))
    race(racers, asked.size, asked.seconds)
    rows = rows_of(racers, asked.size)
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}\n{told(rows)}")
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
