"""`vivant scenes`: what ships, and whether a scene file is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vivant.runtime.scene import Scene

app = typer.Typer(help="The scenes that ship, and checking your own.", no_args_is_help=True)


@app.command("list")
def list_scenes() -> None:
    """Show the scenes that ship and what each one is."""
    from rich.console import Console
    from rich.table import Table

    from vivant.runtime.scene import load_scene, shipped

    table = Table("scene", "title", "input", "what it is", box=None, pad_edge=False)
    for name, path in shipped().items():
        scene = load_scene(path)
        table.add_row(name, scene.title, scene.input, scene.summary)
    Console().print(table)


@app.command("check")
def check_scenes(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Scene files, or names; all that ship when none is given."),
    ] = None,
) -> None:
    """Check scene files in full and say everything that is wrong with them, doubtful triggers too."""
    from vivant.runtime.frames import VivantError
    from vivant.runtime.problems import report
    from vivant.runtime.scene import find_scene, load_scene, shipped

    troubles = []
    for file in files or list(shipped()):
        try:
            grave, warnings = doubts_of(load_scene(find_scene(file)))
        except VivantError as error:
            troubles.append(str(error))
            continue
        for warning in warnings:
            typer.echo(f"{file}: warning: {warning}")
        if grave:
            troubles.append(report(file, grave))
        else:
            typer.echo(f"{file}: fine")
    if troubles:
        raise VivantError("\n".join(troubles))


def doubts_of(scene: Scene) -> tuple[list[str], list[str]]:
    """What cannot be meant so about a scene's triggers, and what may be."""
    import datetime as dt

    from vivant.runtime.scene import tree_of
    from vivant.runtime.triggers.almanac import zone_of
    from vivant.runtime.triggers.review import Review

    today = dt.datetime.now(zone_of(scene.calendar.zone)).date()
    doubts = Review(scene.triggers, tree_of(scene), scene.calendar, today).doubts()
    return [one.text for one in doubts if one.grave], [one.text for one in doubts if not one.grave]
