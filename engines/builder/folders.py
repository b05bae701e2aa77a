"""Student folders on the shelf: loaded whole, copied by links, and assembled from new graphs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vivant.engines.builder.graphs import with_slots
from vivant.engines.builder.step import WHOLE
from vivant.engines.card import (
    CARD,
    AdapterSlots,
    Card,
    CardFile,
    card_file,
    data_file,
    read_checked,
    read_graph,
)
from vivant.engines.contract import Kind, Part

PROMPTS = "prompts"  # what calibration alone reads of an exported model
Graphs = Mapping[tuple[Part, Kind], Path]


def load(source: Path, target: Path) -> None:
    """The whole student, every file checked against its card. Raises EngineError."""
    card = Card.read(source)
    for file in card.files():
        if file.data is None:
            read_checked(source, file)
        else:
            read_graph(source, file)
    link_tree(source, target)


def link_tree(source: Path, target: Path, leave: Iterable[str] = ()) -> None:
    """Every file below `source` that is not hidden, by a link where the file system has them; `leave` are
    names of files that stay behind."""
    left = {WHOLE, *leave}
    for path in sorted(source.rglob("*")):
        own = path.relative_to(source)
        if path.is_file() and own.name not in left and not any(part.startswith(".") for part in own.parts):
            link(path, target / own)


def link(source: Path, target: Path) -> None:
    """Graphs and weights are never written into, so that two names for one file do no harm; a card is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if target.name != CARD:
        try:
            os.link(source.resolve(), target)
            return
        except OSError:  # another file system, or one without links
            pass
    shutil.copyfile(source, target)


def slotted(source: Path, target: Path, slots: tuple[int, int]) -> None:
    """A house student with other adapter slots (number, rank), in all its graphs."""
    card = Card.read(source)
    assert card.adapters is not None
    link_tree(source, target, leave=[file.file for kinds in card.graphs.values() for file in kinds.values()])
    own = card.adapters.slots, card.adapters.rank
    for kinds in card.graphs.values():
        for file in kinds.values():
            with_slots(source / file.file, target / file.file, own, slots)
    adapters = AdapterSlots(slots=slots[0], rank=slots[1], sites=card.adapters.sites)
    _write_card(target, card, card.graphs, {"adapters": adapters, "version": f"{card.version}+slots"})


def assembled(
    source: Path, target: Path, graphs: Graphs, facts: Mapping[str, Any], more: Mapping[str, Path]
) -> None:
    """The student in `source` with other graphs by part and kind, and other files by name (guard.npz)."""
    card = Card.read(source)
    replaced = {f"{part}.{kind}.onnx" for part, kind in graphs} | set(more)
    leave = {CARD, *replaced, *(data_file(Path(name)).name for name in replaced)}
    link_tree(source, target, leave)
    shutil.rmtree(target / PROMPTS, ignore_errors=True)
    kinds: dict[Part, dict[Kind, CardFile]] = {part: dict(files) for part, files in card.graphs.items()}
    for (part, kind), path in graphs.items():
        link(path, target / f"{part}.{kind}.onnx")
        if data_file(path).exists():
            link(data_file(path), data_file(target / f"{part}.{kind}.onnx"))
        kinds.setdefault(part, {})[kind] = card_file(target / f"{part}.{kind}.onnx")
    for name, path in more.items():
        link(path, target / name)
    guard = {"guard": card_file(target / "guard.npz")} if (target / "guard.npz").exists() else {}
    trained = {**card.trained, "builder": dict(facts)}
    _write_card(target, card, kinds, {"trained": trained, **guard})


def _write_card(
    target: Path, card: Card, graphs: Mapping[Part, Mapping[Kind, CardFile]], changes: Mapping[str, Any]
) -> None:
    files = {
        part: {kind: card_file(target / file.file) for kind, file in kinds.items()}
        for part, kinds in graphs.items()
    }
    new = card.model_copy(update={"graphs": files, **changes})
    (target / CARD).unlink(missing_ok=True)
    (target / CARD).write_text(new.model_dump_json(indent=1) + "\n")
