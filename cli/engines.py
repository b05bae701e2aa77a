"""`vivant engines`: the students and engines on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli.build import build

if TYPE_CHECKING:
    from rich.console import Console

    from vivant.engines.builder.store import Entry
    from vivant.engines.card import Card

app = typer.Typer(no_args_is_help=True)
app.command()(build)

Target = Annotated[str, typer.Argument(help="A student's name or folder")]
Backend = Annotated[str | None, typer.Option(help="Only engines of this backend")]
Precision = Annotated[str | None, typer.Option(help="Only engines of this precision")]


@app.callback()
def engines() -> None:
    """Build engines, look at them, verify and measure them, and free what nobody needs."""


@app.command("list")
def list_engines() -> None:
    """Every student: size, precisions, hash, whether its files match, what can run it; then every engine."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from vivant.engines import registry, student

    here = [name for name, found in registry.usable().items() if found.usable]
    table, problems = Table(box=SIMPLE), []
    for heading in ("name", "size", "precision", "hash", "files", "runs on"):
        table.add_column(heading, no_wrap=heading != "runs on")
    for name, folder in (student.built() | student.shipped()).items():
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
    wide(Console()).print(table)
    for problem in [*problems, *_print_engines()]:
        typer.echo(problem)


@app.command()
def show(target: Annotated[str, typer.Argument(help="A student's name or folder, or a scene")]) -> None:
    """A student's graphs layer by layer, its engines with their manifests, and what a scene needs."""
    from vivant.cli.inspecting import print_needs, print_student

    scene = None if _is_student(target) else target
    if scene is not None:
        print_needs(scene)
    else:
        print_student(target)


@app.command()
def verify(target: Target = "house", backend: Backend = None, precision: Precision = None) -> None:
    """Hold the engines of a student that are kept against float once more; exit 1 if one is too far."""
    from vivant.cli.inspecting import verify_kept

    if not verify_kept(_chosen(target, backend, precision)):
        raise typer.Exit(1)


@app.command()
def bench(
    target: Target = "house",
    backend: Backend = None,
    precision: Precision = None,
    seconds: Annotated[float, typer.Option(help="How long to measure each", min=0.1)] = 5.0,
) -> None:
    """How long the kept engines of a student take, stage by stage: p50, p95 and p99."""
    from vivant.cli.inspecting import bench_kept

    bench_kept(_chosen(target, backend, precision), seconds)


@app.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Free it; without this nothing is touched")] = False,
) -> None:
    """What no student needs, and what builds have left: how much it is, and with --yes gone."""
    from vivant.engines.builder.step import Shelf
    from vivant.engines.builder.store import remove, shelf_folder, waste

    found = list(waste(Shelf(shelf_folder())))
    for one in found:
        typer.echo(f"  {one.bytes / 1e6:8.1f} MB  {one.path}  {one.why}")
    if not found:
        typer.echo("nothing is left over")
    elif yes:
        typer.echo(f"{remove(found) / 1e6:.1f} MB are free now")
    else:
        size = sum(one.bytes for one in found) / 1e6
        typer.echo(
            f"{size:.1f} MB in {len(found)} places. Nothing was touched; run: vivant engines prune --yes"
        )


def examine(folder: Path) -> tuple[Card | None, list[str]]:
    """The card of a student, None when it cannot be read, and what is wrong with it or its files."""
    from vivant.engines.card import Card, read_graph
    from vivant.engines.contract import EngineError

    try:
        card = Card.read(folder)
    except EngineError as error:
        return None, [str(error)]
    faults = []
    for file in card.files():
        try:
            read_graph(folder, file)
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


def wide(console: Console) -> Console:
    """A console that is wide enough for a table where nobody says how wide it is."""
    if not console.is_terminal:
        console.width = 150
    return console


def _print_engines() -> list[str]:
    """A row for each kept engine; the lines on those that cannot be used."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from vivant.engines.builder.store import entries, sizes_of

    found = entries()
    if not found:
        return ["no engine is kept yet. Run: vivant engines build house"]
    table = Table(box=SIMPLE, title="engines")
    for heading in ("engine", "backend", "precision", "sizes", "device", "verified", "MB", "state"):
        table.add_column(heading, no_wrap=heading not in ("device", "sizes"))
    for entry in found:
        size = f"{entry.bytes / 1e6:.1f}"
        if entry.kept is None:
            table.add_row(entry.folder.name, "", "", "", "", "", size, entry.state)
            continue
        made, good = entry.kept.manifest, entry.kept.verified
        sizes = " ".join(f"{width}x{height}" for width, height in sizes_of(made))
        verified = f"{good.psnr_db:.1f} dB" if good else "no"
        table.add_row(
            f"{made.student}.{made.part}", made.backend, made.precision, sizes, made.device, verified, size,
            entry.state,
        )  # fmt: skip
    wide(Console()).print(table)
    return [entry.why for entry in found if entry.why]


def _is_student(word: str) -> bool:
    from vivant.engines.contract import EngineError
    from vivant.engines.student import find

    try:
        find(word)
    except EngineError:
        return False
    return True


def _chosen(target: str, backend: str | None, precision: str | None) -> list[Entry]:
    """The kept engines of a student that can be used. Raises VivantError when there are none."""
    from vivant.cli.build import PRECISIONS
    from vivant.engines.builder.store import entries
    from vivant.engines.card import Card
    from vivant.engines.student import find
    from vivant.runtime.frames import VivantError

    folder = find(target)
    hashes = {file.whole for kinds in Card.read(folder).graphs.values() for file in kinds.values()}
    found = [
        entry
        for entry in entries()
        if entry.kept is not None
        and entry.kept.manifest.model_sha256 in hashes
        and backend in (None, entry.kept.manifest.backend)
        and (precision is None or PRECISIONS.get(precision, precision) == entry.kept.manifest.precision)
    ]
    refused = [entry.why for entry in found if entry.state != "ok"]
    good = [entry for entry in found if entry.state == "ok"]
    if not good:
        raise VivantError(
            "\n".join(
                [f"no engine of {target} can be used here. Run: vivant engines build {target}", *refused]
            )
        )
    for line in refused:
        typer.echo(line, err=True)
    return good
