"""`vivant engines`: the students on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from vivant.engines.card import Card

app = typer.Typer(no_args_is_help=True)


@app.callback()
def engines() -> None:
    """The students on this machine."""


@app.command("list")
def list_engines() -> None:
    """Every student that ships: size, precisions, hash, whether its files match, what can run it."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from vivant.engines import registry
    from vivant.engines.student import shipped

    here = [name for name, found in registry.usable().items() if found.usable]
    table, problems = Table(box=SIMPLE), []
    for heading in ("name", "size", "precision", "hash", "files", "runs on"):
        table.add_column(heading, no_wrap=heading != "runs on")
    for name, folder in shipped().items():
        card, faults = examine(folder)
        problems += [f"{name}: {fault}" for fault in faults]
        files = "differ" if faults else "match"
        if card is None:
            table.add_row(name, "", "", "", files, "")
            continue
        kinds = sorted({kind for graphs in card.graphs.values() for kind in graphs}) or ["float"]
        size = f"{card.default_size}x{card.default_size}"
        able = [backend for backend in here if runs(card, backend)]
        table.add_row(name, size, ", ".join(kinds), card.hash[:12], files, ", ".join(able))
    Console().print(table)
    for problem in problems:
        typer.echo(problem)


def examine(folder: Path) -> tuple[Card | None, list[str]]:
    """The card of a student, None when it cannot be read, and what is wrong with it or its files."""
    from vivant.engines.card import Card, read_checked
    from vivant.engines.contract import EngineError

    try:
        card = Card.read(folder)
    except EngineError as error:
        return None, [str(error)]
    faults = []
    for file in card.files():
        try:
            read_checked(folder, file)
        except EngineError as error:
            faults.append(str(error))
    if card.guard is None:
        faults.append(f"{folder / 'card.json'} names no guard: nothing it paints would be shown")
    return card, faults


def runs(card: Card, backend: str) -> bool:
    """Whether a usable backend has the files it needs in this student."""
    from vivant.engines import registry

    own = registry.BACKENDS[backend].own_student
    if own:
        return own == card.name
    return bool(card.weights) if registry.BACKENDS[backend].reads == "weights" else bool(card.graphs)
