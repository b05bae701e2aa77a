"""`vivant scenes`: what ships, and whether a scene file is right."""

from __future__ import annotations

from typing import Annotated

import typer

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
    """Check scene files in full and say everything that is wrong with them."""
    from vivant.runtime.frames import VivantError
    from vivant.runtime.scene import find_scene, load_scene, shipped

    troubles = []
    for file in files or list(shipped()):
        try:
            load_scene(find_scene(file))
        except VivantError as error:
            troubles.append(str(error))
        else:
            typer.echo(f"{file}: fine")
    if troubles:
        raise VivantError("\n".join(troubles))
