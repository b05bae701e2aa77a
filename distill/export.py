"""Turn a checkpoint into a student folder: float and INT8 graphs, weights, the guard's envelope and the card.

    python -m vivant.distill.export --checkpoint out/train/checkpoint.pt --out engines/students/house

Calibration and guard see training structures in every style, several sizes and sigmas; `--clip` adds a
film's frames.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vivant.distill.structures import Sources, open_sources, training_structure
from vivant.engines.card import CARD, Card, CardFile
from vivant.engines.contract import PARTS, Part, Precision
from vivant.engines.network import CODE_CHANNELS, STYLES, House
from vivant.engines.planes import PLANE_NAMES, PlaneField
from vivant.engines.planes import STYLES as STYLE_NAMES
from vivant.engines.quantize import quantize
from vivant.engines.student import Student
from vivant.guardrails.fit import fit_statistics, plain_structures
from vivant.guardrails.measure import measure
from vivant.runtime.frames import F32, U8, Array, Controls, Latent

OPSET = 17
SIGMA_RANGE = (0.0, 0.8)
SIZES_PX = (256, 384, 512)
CALIBRATION = 48  # frames; each style, size and sigma several times
GUARD_STRUCTURES = 300  # times styles, times two strengths
GUARD_RATE = 5e-3  # of latents outside: more than one odd structure, which alone must not set the edge

INPUTS: dict[Part, tuple[str, ...]] = {
    "encode": ("frame",),
    "denoise": ("code", "guide", "sigma", "style"),
    "decode": ("code", "guide", "planes", "style"),
}
OUTPUTS: dict[Part, tuple[str, ...]] = {
    "encode": ("code", "guide"),
    "denoise": ("denoised",),
    "decode": ("picture",),
}
AXES = {
    "frame": {1: "height", 2: "width"},
    "planes": {2: "height", 3: "width"},
    "picture": {1: "height", 2: "width"},
    "guide": {2: "half_height", 3: "half_width"},
    "code": {2: "eighth_height", 3: "eighth_width"},
    "denoised": {2: "eighth_height", 3: "eighth_width"},
}


def read_house(checkpoint: Path) -> tuple[House, dict[str, Any]]:
    """The averaged network of a checkpoint, ready to run, and the facts of its training."""
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    house = House()
    house.load_state_dict(state["average"])
    facts = {"steps": state["step"], "minutes": round(state["seconds"] / 60, 1), "torch": torch.__version__}
    return house.eval(), facts


def write_float(house: House, folder: Path) -> None:
    """Write {encode,denoise,decode}.float.onnx with symbolic height and width."""
    with torch.no_grad():
        frame = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
        code, guide = house.encode(frame)
    style, sigma = torch.eye(STYLES)[:1], torch.zeros(1, 1)
    planes = torch.zeros(1, len(PLANE_NAMES), 64, 64, dtype=torch.uint8)
    samples = {
        "encode": (frame,),
        "denoise": (code, guide, sigma, style),
        "decode": (code, guide, planes, style),
    }
    for part in PARTS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the newer exporter needs onnxscript
            torch.onnx.export(
                house.get_submodule(part),
                samples[part],
                str(folder / f"{part}.float.onnx"),
                input_names=list(INPUTS[part]),
                output_names=list(OUTPUTS[part]),
                dynamic_axes={name: AXES[name] for name in (*INPUTS[part], *OUTPUTS[part]) if name in AXES},
                opset_version=OPSET,
                dynamo=False,
            )


Sample = dict[Part, dict[str, Array]]  # what one frame gives to each graph, by input name


def samples(folder: Path, sources: Sources, count: int, seed: int) -> Iterator[Sample]:
    """Frames through the float graphs, style, size and sigma in turn; every fifth blends two styles."""
    import onnxruntime

    run = {
        part: onnxruntime.InferenceSession(folder / f"{part}.float.onnx", providers=["CPUExecutionProvider"])
        for part in PARTS
    }
    rng = np.random.default_rng(seed)
    for index in range(count):
        size = SIZES_PX[index // STYLES % len(SIZES_PX)]
        style = np.eye(STYLES, dtype=np.float32)[None, index % STYLES]
        if index % 5 == 4:
            style = 0.5 * style + 0.5 * np.roll(style, 1)
        frame = training_structure(sources, rng, size)[None]
        code, guide = run["encode"].run(None, {"frame": frame})
        sigma = np.float32(rng.uniform(*SIGMA_RANGE))
        noisy = (1 - sigma) * code + sigma * rng.standard_normal(code.shape, dtype=np.float32)
        denoise = {"code": noisy, "guide": guide, "sigma": np.full((1, 1), sigma), "style": style}
        (denoised,) = run["denoise"].run(None, denoise)
        planes = PlaneField((size, size), int(rng.integers(2**31))).update(guide, style[0])
        decode = {"code": denoised, "guide": guide, "planes": planes, "style": style}
        yield {"encode": {"frame": frame}, "denoise": denoise, "decode": decode}


def write_int8(folder: Path, sources: Sources, seed: int = 0) -> None:
    """Write {encode,denoise,decode}.int8.onnx, calibrated on training structures."""
    seen = list(samples(folder, sources, CALIBRATION, seed))
    for part in PARTS:
        quantize(
            folder / f"{part}.float.onnx",
            folder / f"{part}.int8.onnx",
            [sample[part] for sample in seen],
        )


def write_guard(folder: Path, sources: Sources, threads: int, seed: int = 1) -> None:
    """Fit the guard's envelope to latents of the INT8 graphs, as the show will run them.

    Sizes and plain structures are spread over the whole sequence, so that each fifth holds all kinds.
    """
    rng = np.random.default_rng(seed)
    statistics: list[F32] = []
    with ExitStack() as open_students:
        students = [
            open_students.enter_context(Student.load(folder, "onnxruntime", "int8", (size, size), threads))
            for size in SIZES_PX
        ]
        plain = [plain_structures(student.size_px, seed) for student in students]
        order = rng.permutation(GUARD_STRUCTURES + len(plain[0]))
        for index in order:
            which = int(rng.integers(len(students)))
            student = students[which]
            drawn = index < GUARD_STRUCTURES
            frame = (
                training_structure(sources, rng, student.size_px[0])
                if drawn
                else plain[which][index - GUARD_STRUCTURES]
            )
            statistics += [measure(latent) for latent in _finished(student, frame, rng)]
    fit_statistics(np.stack(statistics), folder / "guard.npz", GUARD_RATE)


def _finished(student: Student, frame: U8, rng: np.random.Generator) -> Iterator[Latent]:
    """The latents of one frame u8 (H, W, 3) in every style, at a low and a high strength."""
    for style in STYLE_NAMES:
        for strength in (rng.uniform(0, 0.3), rng.uniform(0.3, SIGMA_RANGE[1])):
            steps, noise = int(rng.integers(1, 3)), int(rng.integers(10_000))
            controls = Controls(strength=strength, steps=steps, seed=noise, styles={style: 1.0})
            yield student.denoise(student.encode(frame), controls)


def card_file(path: Path) -> CardFile:
    return CardFile(file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def write_card(folder: Path, version: str, facts: dict[str, Any]) -> None:
    """Write card.json over the files that are in `folder`."""
    kinds: tuple[Precision, ...] = ("float", "int8")
    guard = folder / "guard.npz"
    card = Card(
        name="house",
        version=version,
        summary="Paints what it sees as mosaic, ink and wash, engraving or brush strokes, on any laptop.",
        styles=STYLE_NAMES,
        planes=PLANE_NAMES,
        code_channels=CODE_CHANNELS,
        size_multiple=32,
        default_size=384,
        sigma_range=SIGMA_RANGE,
        graphs={part: {kind: card_file(folder / f"{part}.{kind}.onnx") for kind in kinds} for part in PARTS},
        weights=card_file(folder / "weights.safetensors"),
        guard=card_file(guard) if guard.exists() else None,
        made_with=(
            "python -m vivant.distill.paint --out out/pool --clip CLIP; "
            f"python -m vivant.distill.train --pool out/pool --minutes {facts['minutes']:.0f}; "
            "python -m vivant.distill.export --checkpoint out/train/checkpoint.pt --clip CLIP"
        ),
        trained=facts,
        license="Apache-2.0",
    )
    (folder / CARD).write_text(card.model_dump_json(indent=1) + "\n")


def export(checkpoint: Path, folder: Path, clip: Path | None, version: str, threads: int) -> None:
    """Write the whole student folder. The card is written twice: the guard is fitted through it."""
    import safetensors.torch

    folder.mkdir(parents=True, exist_ok=True)
    house, facts = read_house(checkpoint)
    sources = open_sources(clip)
    (folder / "guard.npz").unlink(missing_ok=True)
    safetensors.torch.save_file(house.state_dict(), folder / "weights.safetensors")
    write_float(house, folder)
    write_int8(folder, sources)
    write_card(folder, version, facts)
    write_guard(folder, sources, threads)
    write_card(folder, version, facts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Turn a checkpoint into a student folder.")
    parser.add_argument("--checkpoint", type=Path, default=Path("out/train/checkpoint.pt"))
    parser.add_argument("--out", type=Path, default=Path("engines/students/house"))
    parser.add_argument("--clip", type=Path, help="a film whose first two thirds were painted too")
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    export(given.checkpoint, given.out, given.clip, given.version, given.threads)


if __name__ == "__main__":
    main()
