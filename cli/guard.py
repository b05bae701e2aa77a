"""`vivant guard`: fitting a guard, trying one, what guards did in a day and find in a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli.guarding import brand, fit, report
from vivant.cli.judging import critic, words

if TYPE_CHECKING:
    from vivant.guardrails.flash_film import Analysis

app = typer.Typer(no_args_is_help=True)
app.command()(fit)
app.command()(brand)
app.command()(report)
app.command()(critic)
app.command()(words)


@app.callback()
def guard() -> None:
    """Fit a guard, try one, see what the guards did in a day, and what they find in a recording."""


@app.command()
def flash(
    film: Annotated[Path, typer.Argument(help="A film that FFmpeg reads, such as a recording of a show")],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the verdict and the timeline as JSON")
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Where the drawn timeline goes, instead of beside the film"),
    ] = None,
    screen_deg: Annotated[
        float,
        typer.Option(
            help="How wide the picture is for its nearest spectator, in degrees", min=1.0, max=180.0
        ),
    ] = 30.0,
) -> None:
    """Count the flashes of a film by WCAG 2.3.1 and ITU-R BT.1702, and draw them.

    Exit code 0: it passes; 1: it does not; 2: it cannot be read. This is no medical certificate.
    """
    from vivant.runtime.flash_chart import flash_timeline
    from vivant.runtime.report import write_json

    found = analysed(film, screen_deg)
    drawn = timeline or film.with_suffix(".flash.png")
    flash_timeline(found, film.name, drawn)
    if json_file is not None:
        write_json({"film": str(film), **found.as_dict()}, json_file)
    say(film, found)
    for path in (drawn, json_file):
        if path is not None:
            typer.echo(f"  {path}")
    if not found.passes:
        raise typer.Exit(1)


def analysed(film: Path, screen_deg: float) -> Analysis:
    """The film's analysis, with its progress and the time left shown to a person who watches."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from vivant.guardrails.flash_film import analyse

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"Watching {film.name}", total=1.0)
        return analyse(film, screen_deg, lambda share: progress.update(task, completed=share))


def say(film: Path, found: Analysis) -> None:
    """The verdict, the worst second of each kind, and where there was too much."""
    from vivant.guardrails.flash_film import LONG_S

    frames, seconds = len(found.moments), found.moments[-1].at_s - found.moments[0].at_s
    verdict = "passes" if found.passes else "does not pass"
    typer.echo(
        f"{film.name} {verdict}: {frames} pictures, {seconds:.1f} s, {found.screen_deg:g} degrees wide."
    )
    for kind, moment in found.worst().items():
        number = moment.transitions[kind] / 2
        where = f", at {moment.at_s:.2f} s" if number else ""
        typer.echo(f"  {kind}: at most {number:g} flashes in a second{where} (3 are allowed)")
    for span in found.spans():
        typer.echo(f"  too many ({span.kind}) from {span.from_s:.2f} s to {span.to_s:.2f} s")
    if found.longest_s() > LONG_S:
        typer.echo(
            f"  two flashes a second and more for {found.longest_s():.1f} s on end: BT.1702 advises against "
            f"more than {LONG_S:g} s of it, even within the limits"
        )
