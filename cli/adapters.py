"""`vivant adapters`: what a scene may wear, what was refused and why, and auditions by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli.fitting import fit

if TYPE_CHECKING:
    from vivant.engines.card import Card
    from vivant.guardrails.guard_file import GuardFile
    from vivant.runtime.adapters.found import Candidate
    from vivant.runtime.adapters.registry import Registry
    from vivant.runtime.scene import Scene

app = typer.Typer(no_args_is_help=True)
app.command("fit")(fit)
SceneFile = Annotated[
    str, typer.Argument(metavar="SCENE", help="A scene file, or the name of one that ships")
]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    name: str
    state: str
    rank: str
    hash: str
    license: str
    what: str


@app.callback()
def adapters() -> None:
    """Adapters of a scene: LoRA files that change a picture's identity between two frames."""


@app.command("list")
def list_adapters(
    scene: SceneFile = "mirror",
    plain: Annotated[bool, typer.Option("--plain", help="Tabs and no table, for programs")] = False,
) -> None:
    """Every adapter file of a scene: whether it can be worn, and the reason if not.

    ready: it can be worn. waiting: the next show auditions it in idle time, or `vivant adapters audition`
    does now. quarantined: the guard held what it made; the sheet shows it. refused: it does not fit.
    """
    from rich.console import Console
    from rich.table import Table

    from vivant.runtime.adapters.lock import read_lock
    from vivant.runtime.adapters.registry import Registry
    from vivant.runtime.scene import find_scene, load_scene

    path = find_scene(scene)
    lock = read_lock(path)
    rows = list(rows_of(load_scene(path), Registry.own(), None if lock is None else lock.hashes))
    if plain:
        for row in rows:
            cells = (row.name, row.state, row.rank, row.hash, row.license, row.what)
            typer.echo("\t".join(" ".join(cell.split()) for cell in cells))
        return
    table = Table(
        "adapter", "state", "rank", "hash", "licence", "what it is, or why not", box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(row.name, row.state, row.rank, row.hash, row.license, row.what)
    Console().print(table)


@app.command("audition")
def audition(
    scene: SceneFile,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Adapters; all of the scene's own if none")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were auditioned before")] = False,
    sheets: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a sheet of what each adapter did")
    ] = None,
) -> None:
    """Wear each adapter upon stored frames and let the guard judge, as a show does before its first use.

    Exit code 1 when one is quarantined.
    """
    from rich.progress import track

    from vivant.runtime.adapters.audition import Stage, audition_sheet
    from vivant.runtime.adapters.job import auditioning_backend
    from vivant.runtime.adapters.registry import Registry
    from vivant.runtime.frames import VivantError
    from vivant.runtime.scene import find_scene, load_scene, tree_of

    loaded, registry = load_scene(find_scene(scene)), Registry.own()
    card, own = candidates(loaded)
    guards = loaded.guard.named()
    fitting = {one.name: one for one in own if not one.problem}
    unknown = [name for name in names or () if name not in fitting]
    if unknown:
        raise VivantError(
            f"{', '.join(unknown)}: no adapter of {scene} that fits; see: vivant adapters list {scene}"
        )
    chosen = [
        one
        for name, one in fitting.items()
        if (not names or name in names) and (again or recorded(one.path, card, guards, registry) is None)
    ]
    if not fitting:
        raise VivantError(f"{scene} has no adapter of its own that fits; see: vivant adapters list {scene}")
    if not chosen:
        typer.echo("every adapter was auditioned before; --again holds the auditions anew")
        return
    base = tree_of(loaded).controls(0, 0, loaded.size)
    backend, precision = auditioning_backend(loaded.backend, loaded.precision)
    stage = Stage.load(loaded.student, backend, precision, loaded.size, base, guards)
    failed = 0
    try:
        for one in track(chosen, "auditioning", transient=True):
            record, tried = stage.audition(stage.student.fitted(registry.keep(one.path)))
            registry.write(record)
            failed += not record.passed
            sheet = registry.sheet(record.sha256, record.student, record.guard)
            sheet = sheet if sheets is None else sheets / f"{one.name}.png"
            if sheets is not None or not record.passed:
                audition_sheet(record, tried, sheet)
            typer.echo(f"{one.name}: {verdict(record.passed, record.held, record.tried, record.reason)}")
            if sheets is not None or not record.passed:
                typer.echo(f"  {sheet}")
    finally:
        stage.close()
    if failed:
        raise typer.Exit(1)


def verdict(passed: bool, held: int, tried: int, reason: str) -> str:
    """An audition in words."""
    if passed:
        return f"ready: admitted in {tried - held} of {tried} ways"
    return f"quarantined: held in {held} of {tried} ways: {reason}"


def candidates(scene: Scene) -> tuple[Card, list[Candidate]]:
    """The student's card, and the scene's own adapters: those named, and those in folders, refused or not."""
    from vivant.engines.adapter import SHIPPED
    from vivant.runtime.adapters.found import Candidate, worn_by

    card, worn, beside = worn_by(scene.student, scene.adapters)
    there = {one.path for one in beside}
    named = [
        Candidate(one.path, name, one)
        for name, one in worn.items()
        if one.path not in there and one.path.parent != SHIPPED
    ]
    return card, [*named, *beside]


def recorded(path: Path, card: Card, guards: Sequence[GuardFile], registry: Registry) -> object:
    """The record of an audition of this file by this student and these guards, None where there is none."""
    from vivant.engines.adapter_file import sha256_of
    from vivant.runtime.adapters.job import guard_hash

    return registry.record(sha256_of(path), card.hash, guard_hash(card, guards))


def rows_of(scene: Scene, registry: Registry, locked: frozenset[str] | None) -> Iterator[Row]:
    """The list, those that come with vivant first."""
    from vivant.engines.adapter import SHIPPED
    from vivant.engines.adapter_file import sha256_of
    from vivant.runtime.adapters.found import worn_by
    from vivant.runtime.adapters.job import guard_hash

    card, worn, _ = worn_by(scene.student, scene.adapters)
    guard = guard_hash(card, scene.guard.named())
    for name, one in worn.items():
        if one.path.parent == SHIPPED:
            yield Row(name, "ready", str(one.rank), sha256_of(one.path)[:8], short(one.license), one.summary)
    for found in candidates(scene)[1]:
        if found.worn is None:
            yield Row(found.name or found.path.name, "refused", "", "", "", found.problem)
            continue
        digest = sha256_of(found.path)
        state, what = state_of(digest, card, guard, registry, locked)
        about = what or f"{found.worn.summary} ({found.path})"
        yield Row(found.name, state, str(found.worn.rank), digest[:8], short(found.worn.license), about)


def state_of(
    digest: str, card: Card, guard: str, registry: Registry, locked: frozenset[str] | None
) -> tuple[str, str]:
    """The state of a file that fits, and why it is not worn, if so."""
    if locked is not None and digest not in locked:
        return "refused", "not in the scene's lock; vivant scenes lock takes it in"
    record = registry.record(digest, card.hash, guard)
    if record is None:
        return "waiting", "not auditioned yet"
    if record.passed:
        return "ready", ""
    sheet = registry.sheet(digest, card.hash, guard)
    return "quarantined", f"held in {record.held} of {record.tried} ways: {record.reason}; {sheet}"


def short(text: str) -> str:
    """The first line of a licence."""
    first = text.splitlines()[0] if text else "none stated"
    return first if len(first) <= 24 else first[:21] + "..."
