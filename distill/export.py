"""Turn a checkpoint into a student folder: float and INT8 graphs, weights, the guard's envelope and the card.

    python -m vivant.distill.export --checkpoint out/train/checkpoint.pt --out engines/students/house

Calibration and guard see training structures in every style, several sizes, strengths and adapters; `--clip`
adds a film's frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from vivant.distill.graphs import SIGMA_RANGE, SIZES_PX, calibration, write_float, write_int8
from vivant.distill.plan import Plan, plan_of
from vivant.distill.sources import Sources, open_sources
from vivant.distill.structures import training_structure
from vivant.engines.adapter import ADAPTED, read_adapter, wearable
from vivant.engines.card import CARD, AdapterSlots, Card, card_file
from vivant.engines.contract import PARTS, Kind, LoadedStudent
from vivant.engines.house import CODE_CHANNELS, RANK, SLOTS, House
from vivant.engines.kinds import load_student
from vivant.engines.slots import LAYOUT
from vivant.guardrails.fit import fit_statistics, plain_structures
from vivant.guardrails.measure import measure
from vivant.runtime.frames import F32, U8, Controls, Latent

GUARD_STRUCTURES = 2000  # different frames: their number is what lets the envelope be tight
GUARD_RATE = 5e-3  # of latents outside: more than one odd structure, which alone must not set the edge
SUMMARY = "Paints what it sees as {styles}, on any laptop."


def read_house(checkpoint: Path) -> tuple[House, Plan, dict[str, Any]]:
    """The averaged network of a checkpoint, ready to run; its plan; the facts of its training."""
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    plan = plan_of(state["plan"], str(checkpoint))
    house = House(plan.widths, len(plan.styles))
    house.load_state_dict(state["average"])
    facts = {
        "steps": state["step"],
        "minutes": round(state["seconds"] / 60, 1),
        "torch": torch.__version__,
        "widths": state["plan"]["widths"],
    }
    return house.eval(), plan, facts


def write_guard(folder: Path, sources: Sources, threads: int, structures: int, seed: int = 1) -> None:
    """Fit the guard's envelope to latents of the INT8 graphs, as the show will run them: of `structures`
    different frames, each in two styles, at a low and a high strength, some wearing an adapter.

    Sizes and plain structures are spread over the whole sequence, so that each fifth holds all kinds.
    """
    rng = np.random.default_rng(seed)
    statistics: list[F32] = []
    with ExitStack() as open_students:
        students = [
            open_students.enter_context(load_student(folder, "openvino", "int8", (size, size), threads))
            for size in SIZES_PX
        ]
        plain = [plain_structures(student.size_px, seed) for student in students]
        for index in rng.permutation(structures + len(plain[0])):
            which = int(rng.integers(len(students)))
            student = students[which]
            drawn = index < structures
            frame = (
                training_structure(sources, rng, student.size_px[0])
                if drawn
                else plain[which][index - structures]
            )
            statistics += [measure(latent) for latent in _finished(student, frame, rng)]
    fit_statistics(np.stack(statistics), folder / "guard.npz", GUARD_RATE)


def _finished(student: LoadedStudent, frame: U8, rng: np.random.Generator) -> Iterator[Latent]:
    """The latents of one frame u8 (H, W, 3) in two styles, at a low and a high strength."""
    worn = list(student.adapters)
    for strength in (rng.uniform(0, 0.3), rng.uniform(0.3, SIGMA_RANGE[1])):
        style = str(rng.choice(student.card.styles))
        adapters = {str(rng.choice(worn)): float(rng.uniform(0.3, 1))} if worn and rng.random() < 0.4 else {}
        controls = Controls(
            strength=strength,
            steps=int(rng.integers(1, 3)),
            seed=int(rng.integers(10_000)),
            styles={style: 1.0},
            adapters=adapters,
        )
        yield student.denoise(student.encode(frame), controls)


def write_card(folder: Path, house: House, plan: Plan, version: str, facts: dict[str, Any]) -> None:
    """Write card.json over the files that are in `folder`."""
    guard = folder / "guard.npz"
    kinds: tuple[Kind, ...] = get_args(Kind)
    files = {part: {kind: folder / f"{part}.{kind}.onnx" for kind in kinds} for part in PARTS}
    card = Card(
        name="house",
        version=version,
        summary=SUMMARY.format(styles=", ".join(plan.styles[:-1]) + f" or {plan.styles[-1]}"),
        styles=plan.styles,
        planes=LAYOUT,
        code_channels=CODE_CHANNELS,
        size_multiple=32,
        default_size=384,
        sigma_range=SIGMA_RANGE,
        adapters=AdapterSlots(
            slots=SLOTS, rank=RANK, sites={part: house.adapted(part).sites for part in ADAPTED}
        ),
        graphs={
            part: {kind: card_file(path) for kind, path in of_kind.items() if path.exists()}
            for part, of_kind in files.items()
        },
        weights=card_file(folder / "weights.safetensors"),
        guard=card_file(guard) if guard.exists() else None,
        made_with=(
            "vivant distill paint --styles base,blends --shards 40 --clip CLIP; "
            "vivant distill student distill/house.toml; "
            "vivant distill export --clip CLIP"
        ),
        trained=facts,
        license="Apache-2.0",
    )
    (folder / CARD).write_text(card.model_dump_json(indent=1) + "\n")


def export(
    checkpoint: Path,
    folder: Path,
    clip: Path | None,
    version: str,
    threads: int,
    guard_structures: int = GUARD_STRUCTURES,
) -> None:
    """Write the whole student folder. The card is written three times: calibration and guard read it."""
    import safetensors.torch

    folder.mkdir(parents=True, exist_ok=True)
    house, plan, facts = read_house(checkpoint)
    sources = open_sources(clip)
    for stale in (folder / "guard.npz", *folder.glob("*.onnx")):
        stale.unlink(missing_ok=True)
    safetensors.torch.save_file(house.state_dict(), folder / "weights.safetensors")
    write_float(house, folder)
    write_card(folder, house, plan, version, facts)
    adapters = [read_adapter(path, Card.read(folder)) for path in wearable(Card.read(folder)).values()]
    write_int8(folder, list(calibration(folder, sources, plan.styles, adapters, seed=0)))
    write_card(folder, house, plan, version, facts)
    if guard_structures:
        write_guard(folder, sources, threads, guard_structures)
        write_card(folder, house, plan, version, facts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Turn a checkpoint into a student folder.")
    parser.add_argument("--checkpoint", type=Path, default=Path("out/train/checkpoint.pt"))
    parser.add_argument("--out", type=Path, default=Path("engines/students/house"))
    parser.add_argument("--clip", type=Path, help="a film whose first two thirds were painted too")
    parser.add_argument("--version", default="2.0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--guard-structures", type=int, default=GUARD_STRUCTURES)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    export(given.checkpoint, given.out, given.clip, given.version, given.threads, given.guard_structures)


if __name__ == "__main__":
    main()
