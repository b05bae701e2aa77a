"""What adapter slots cost on a UNet of SD-Turbo's outer blocks, in multiply-accumulates and in time.

    python -P -m vivant.tools.slot_cost --slots 2 --rank 16 --backend openvino --backend onnxruntime

The network has SD-Turbo's own widths (320 and 640 channels, its attention and its words) in two blocks of one
layer instead of four of two, so that a small machine can hold it; random weights. The same graph with slots
and without takes turns, run by run, so that what disturbs the machine disturbs both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch

from vivant.engines.diffusion.bank import Layout
from vivant.engines.diffusion.export import write_graph
from vivant.engines.diffusion.int8 import write_int8
from vivant.engines.diffusion.steps import sigmas_of
from vivant.engines.diffusion.torch_parts import SD_NOISE, SD_TURBO
from vivant.engines.diffusion.unet import Denoise, all_sites, cost
from vivant.engines.diffusion.wiring import Wiring
from vivant.engines.openvino_graph import convolve_worn
from vivant.runtime.frames import Array

SHAPE: Final = {
    "block_out_channels": (320, 640),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "attention_head_dim": (5, 10),
}
TOKENS: Final = 77
SAMPLES: Final = 4  # that INT8 ranges are taken from; what is measured does not depend on them
WARM_UP: Final = 2
Inputs = Mapping[str, Array]
Run = Callable[[], object]


def network() -> Any:  # a UNet of diffusers, which has no types
    diffusers: Any = import_module("diffusers")
    torch.manual_seed(1)
    return diffusers.UNet2DConditionModel(**(SD_TURBO | SHAPE)).eval().requires_grad_(False)


def inputs_of(layout: Layout | None, side: int, seed: int) -> dict[str, torch.Tensor]:
    """What the graph takes, every slot worn."""
    torch.manual_seed(seed)
    width = int(SD_TURBO["cross_attention_dim"])
    given = {
        "code": torch.randn(1, 4, side, side),
        "sigma": torch.full((1, 1), 2.0),
        "prompt": torch.randn(1, TOKENS, width),
    }
    if layout is not None:
        given["adapters"] = torch.randn(layout.slots, layout.width) * 0.02
        given["adapter_scale"] = torch.ones(1, layout.slots)
    return given


def write_graphs(
    folder: Path, layout: Layout | None, side: int, int8: bool
) -> tuple[dict[str, Path], Inputs]:
    """The graph in float, and in INT8 where that is wanted, by precision; and inputs for it."""
    model = Denoise(network(), sigmas_of(SD_NOISE), Wiring(), layout)
    name = "plain" if layout is None else "slots"
    found = {"float": folder / f"{name}.float.onnx"}
    given = [inputs_of(layout, side, seed) for seed in range(SAMPLES)]
    write_graph(model, given[0], ("denoised",), found["float"])
    arrays = [{key: value.numpy() for key, value in one.items()} for one in given]
    if int8:
        found["int8"] = folder / f"{name}.int8.onnx"
        write_int8(found["float"], arrays, found["int8"])
    return found, arrays[0]


def on_openvino(path: Path, given: Inputs, threads: int, rest: str = "f32") -> Run:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape({name: list(array.shape) for name, array in given.items()})
    convolve_worn(model)
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": rest}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    tensors = {name: openvino.Tensor(array, shared_memory=True) for name, array in given.items()}
    return lambda: request.infer(tensors, share_inputs=True, share_outputs=True)


def on_onnxruntime(path: Path, given: Inputs, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, dict(given))


BACKENDS: Final[Mapping[str, Callable[[Path, Inputs, int], Run]]] = {
    "openvino": on_openvino,
    "openvino-bf16": partial(on_openvino, rest="bf16"),  # what is not INT8, as a show runs it where it can
    "onnxruntime": on_onnxruntime,
}


def in_turn(runs: Sequence[Run], count: int) -> list[float]:
    """Median milliseconds of each, one run of each in turn."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(count + WARM_UP):
        for index, run in enumerate(runs):
            began = time.perf_counter()
            run()
            if turn >= WARM_UP:
                times[index].append((time.perf_counter() - began) * 1e3)
    return [statistics.median(one) for one in times]


def share_of_macs(layout: Layout, side: int) -> float:
    """Of the layers' multiply-accumulates, what the slots add."""
    with torch.device("meta"):
        unet, width = network(), int(SD_TURBO["cross_attention_dim"])
        given = torch.zeros(1, 4, side, side), torch.zeros(1), torch.zeros(1, TOKENS, width)
        return cost(unet, layout.sites, layout.slots * layout.rank, lambda: unet(*given)).share


def measured(asked: Any) -> Iterator[str]:
    """A line for each backend and precision."""
    layout = Layout(all_sites(network()), asked.slots, asked.rank)
    share = share_of_macs(layout, asked.side)
    yield f"{len(layout.sites)} layers, {asked.slots} slots of rank {asked.rank}: {share:.1%} more MACs"
    with TemporaryDirectory() as scratch:
        made = [
            write_graphs(Path(scratch), one, asked.side, "int8" in asked.precision) for one in (None, layout)
        ]
        for backend in asked.backend:
            for precision in asked.precision:
                runs = [BACKENDS[backend](paths[precision], given, asked.threads) for paths, given in made]
                plain, slotted = in_turn(runs, asked.runs)
                more = slotted / plain - 1
                yield f"{backend} {precision}: {plain:.1f} ms, with slots {slotted:.1f} ms, {more:+.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--side", type=int, default=32, help="of the code; eight times as many pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--backend", action="append", choices=list(BACKENDS))
    parser.add_argument("--precision", action="append", choices=["float", "int8"])
    asked = parser.parse_args()
    asked.backend = asked.backend or ["openvino", "onnxruntime"]
    asked.precision = asked.precision or ["float", "int8"]
    for line in measured(asked):
        print(line, flush=True)


if __name__ == "__main__":
    main()
