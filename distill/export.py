"""Turn a checkpoint into a student folder: float and INT8 graphs, weights, the guard's envelope and the card.

    python -m vivant.distill.export --checkpoint out/train/checkpoint.pt --out engines/students/house

Calibration and guard see training structures in every style, several sizes, strengths and adapters; `--clip`
adds a film's frames.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

import torch

from vivant.distill.graphs import SIGMA_RANGE, calibration, write_float, write_int8
from vivant.distill.house_guard import STRUCTURES, write_guard
from vivant.distill.plan import Plan, plan_of
from vivant.distill.sources import open_sources
from vivant.engines.adapter import ADAPTED, read_adapter, wearable
from vivant.engines.card import CARD, AdapterSlots, Card, card_file
from vivant.engines.contract import PARTS, Kind
from vivant.engines.house import CODE_CHANNELS, RANK, SLOTS, House
from vivant.engines.slots import LAYOUT

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
    guard_structures: int = STRUCTURES,
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
    parser.add_argument("--guard-structures", type=int, default=STRUCTURES)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    export(given.checkpoint, given.out, given.clip, given.version, given.threads, given.guard_structures)


if __name__ == "__main__":
    main()
