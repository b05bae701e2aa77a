"""`vivant body`: what tracks people here, and what it sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from vivant.runtime.body.section import Body

app = typer.Typer(help="What tracks people here, and what it sees.", no_args_is_help=True)

MOMENTS: Final = 8


@app.command("trackers")
def list_trackers(
    tasks: Annotated[str, typer.Option(metavar="FOLDER", help="Where your .task files are")] = "",
) -> None:
    """Show the trackers, which of them this machine has, and how to get the others."""
    from vivant.runtime.body.registry import KINDS

    body = asked("auto", tasks, "mask,pose,hands")
    for name, kind in KINDS.items():
        lacks = kind.lacks(body)
        typer.echo(f"{'no' if lacks else 'yes':4} {name:10} {kind.meaning}" + (f": {lacks}" if lacks else ""))


@app.command("look")
def look(
    source: Annotated[
        str, typer.Option("--input", help="camera:0, clip:FILE or performer, as a scene has it")
    ] = "auto",
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write eight moments with mask, skeleton and numbers, FILE.png"),
    ] = None,
    track: Annotated[str, typer.Option(help="auto, mediapipe, tasks or moving")] = "auto",
    tasks: Annotated[str, typer.Option(help="The folder of your .task files")] = "",
    find: Annotated[str, typer.Option(help="What to look for: mask,pose,hands")] = "mask,pose,hands",
    seconds: Annotated[float, typer.Option(help="Look for so long", min=0.5, max=600)] = 16.0,
    drawn: Annotated[
        bool, typer.Option("--drawn", help="On the sheet: what pose_only gives the student, and no picture")
    ] = False,
) -> None:
    """Look at an input as a show would, and say what is seen: signals, and the milliseconds that it takes."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    from vivant.runtime.body.look import Look, picture_of, summary

    watched = Look(source, asked(track, tasks, find), seconds, MOMENTS)
    typer.echo(watched.describe())
    shown = (TextColumn("looking"), BarColumn(), TimeRemainingColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        moments = watched.run(lambda share: progress.update(task, completed=share))
    table = Table("signal", "least", "median", "most", "known", box=None, pad_edge=False)
    for row in summary(watched.heard):
        table.add_row(*row)
    Console().print(table)
    typer.echo(watched.cost())
    if sheet is not None:
        picture_of(moments, sheet, drawn)
        typer.echo(f"  {sheet}")


def asked(track: str, tasks: str, find: str) -> Body:
    """[body] as the command line asks for it. Raises VivantError with everything that is wrong with it."""
    from pydantic import ValidationError

    from vivant.runtime.body.section import Body
    from vivant.runtime.frames import VivantError

    table = {"track": track, "tasks": tasks, "find": [part.strip() for part in find.split(",")]}
    try:
        return Body.model_validate(table, context={"folder": Path.cwd()})
    except ValidationError as error:
        lines = "\n".join(f"  {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise VivantError(f"command line:\n{lines}") from error
