"""`vivant bench`: how long each stage takes here, on every backend that is usable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivant.cli.run import parse_size

if TYPE_CHECKING:
    from rich.console import Console

    from vivant.engines.bench import Contender


def bench(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures, FILE.json")] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size of the student's picture; the student's own if not given"),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long to measure", min=0.1)] = 30.0,
    student: Annotated[str, typer.Option(help="A student's name or folder")] = "house",
    threads: Annotated[
        int | None, typer.Option(help="Threads for each engine; every core if not given", min=1)
    ] = None,
    backend: Annotated[
        list[str] | None, typer.Option(help="Only this backend; may be repeated. Every one if not given")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="cuda:N|cpu", help="Which GPU, or none; the first if not given")
    ] = None,
) -> None:
    """Measure every stage, every usable backend and precision in turn, frame by frame."""
    from rich.console import Console

    from vivant.engines.bench import Setting, contenders, results
    from vivant.engines.machine import cores, use_device
    from vivant.guardrails.guard import Guard
    from vivant.runtime.path import whole_of

    if device is not None:
        use_device(device)
    setting = Setting(
        student,
        parse_size(size) if size else None,
        threads or cores(),
        lambda loaded: Guard.load(*loaded.guard_file).judge,
        lambda loaded: whole_of(loaded, 0),
        tuple(backend or ()),
    )
    console = Console(stderr=True)
    with console.status("loading engines"):
        racers, absent = contenders(setting)
    for name, reason in absent.items():
        console.print(f"{name}: {reason}", style="dim", highlight=False, markup=False)
    _race(racers, seconds, console)
    made = results(racers, absent)
    for racer in racers:
        racer.student.close()
    _show(made)
    if json_file:
        _write(json_file, made)


def _race(racers: list[Contender], seconds: float, console: Console) -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from vivant.engines.bench import measure

    columns = (TextColumn("measuring"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=1.0)
        for done in measure(racers, seconds):
            progress.update(bar, completed=done)


def _show(made: dict[str, Any]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    about, rows = made["machine"], made["rows"]
    first = rows[0]
    stages = [stage for stage in dict.fromkeys(row["stage"] for row in rows) if stage != "total"]
    table = Table(
        title=f"{first['student']} at {first['size']}, {first['threads']} threads: p50 in ms, p99 of total",
        caption=f"{about['gpu'] or about['cpu']}, {about['cores']} cores, load {about['load']}",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for heading in ("on", *stages, "total", "p99"):
        table.add_column(heading, justify="left" if heading == "on" else "right", no_wrap=True)
    for name in dict.fromkeys(f"{row['backend']} {row['precision']}" for row in rows):
        mine = {row["stage"]: row for row in rows if f"{row['backend']} {row['precision']}" == name}
        figures = [f"{mine[stage]['p50_ms']:.2f}" if stage in mine else "" for stage in (*stages, "total")]
        table.add_row(name, *figures, f"{mine['total']['p99_ms']:.2f}")
    console = Console()
    console.print(table)
    for name, ran in about["ran"].items():
        console.print(
            f"{name} ran in: {', '.join(f'{part} {kind}' for part, kind in ran.items())}", style="dim"
        )


def _write(path: Path, made: dict[str, Any]) -> None:
    import json

    from vivant.runtime.frames import VivantError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made, indent=1) + "\n")
    except OSError as error:
        raise VivantError(f"--json {path} cannot be written ({error.strerror}): name another file") from error
    typer.echo(f"  {path}")
