"""`vivant midi`: which controllers are there, what they send, and a map of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from vivant.runtime.midi.controls import Moved
    from vivant.runtime.midi.ports import Ports, Waiting
    from vivant.runtime.tree import Tree

POLL_S: Final = 0.01
app = typer.Typer(no_args_is_help=True)
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PORT]...", help="Parts of ports' names, or tcp:HOST:PORT; all when none is given"
    ),
]


@app.command()
def ports() -> None:
    """List the controllers that this machine sees."""
    from vivant.runtime.midi.ports import present_ports

    heard, out = present_ports()
    for name in heard:
        typer.echo(f"in   {name}")
    for name in out:
        typer.echo(f"out  {name}")
    if not heard and not out:
        typer.echo("no controller is plugged in")


@app.command()
def monitor(
    names: Inputs = None,
    seconds: Annotated[
        float | None, typer.Option(help="End after so long; else Ctrl-C ends it", min=0.1)
    ] = None,
) -> None:
    """Show what controllers send, one line a message, with the name that a map gives the control."""
    listening, waiting = _listen(names)
    try:
        until = None if seconds is None else time.monotonic() + seconds
        while until is None or time.monotonic() < until:
            for port, moved in _moves(waiting):
                typer.echo(f"{port}  {moved.control}  {moved.position}")
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        typer.echo()
    finally:
        listening.close()


@app.command()
def learn(
    scene: Annotated[str, typer.Argument(metavar="SCENE", help="A scene, for its parameters")],
    file: Annotated[Path, typer.Argument(metavar="MAP", help="The map file; made, or added to")],
    names: Annotated[
        list[str] | None,
        typer.Option("--port", help="Part of a port's name, or tcp:HOST:PORT; may be repeated"),
    ] = None,
) -> None:
    """Make a map: move a control, then type the parameter that it shall move. An empty line ends it."""
    from vivant.runtime.midi.mapping import with_learned, write_map
    from vivant.runtime.midi.section import map_at
    from vivant.runtime.scene import find_scene, load_scene, tree_of

    tree, found = tree_of(load_scene(find_scene(scene))), map_at(file)
    listening, waiting = _listen(names)
    try:
        while True:
            typer.echo("Move a control (Ctrl-C ends it) ...")
            moved = _next(waiting)
            address = _asked(moved, tree)
            if not address:
                return
            found = with_learned(found, moved.control, address)
            write_map(found, file)
            typer.echo(f"{moved.control} moves {address}. {file} has {len(found.controls)} controls.")
    except KeyboardInterrupt:
        typer.echo()
    finally:
        listening.close()


@app.command()
def check(
    scene: Annotated[str, typer.Argument(metavar="SCENE", help="A scene, for its parameters")],
    file: Annotated[Path, typer.Argument(metavar="MAP", help="A map file")],
) -> None:
    """Say everything that is wrong with a map file for a scene."""
    from vivant.runtime.frames import VivantError
    from vivant.runtime.midi.mapping import map_problems, read_map
    from vivant.runtime.problems import report
    from vivant.runtime.scene import find_scene, load_scene, tree_of

    found = read_map(file)
    troubles = list(map_problems(found, tree_of(load_scene(find_scene(scene)))))
    if troubles:
        raise VivantError(report(str(file), troubles))
    typer.echo(f"{file}: fine, {len(found.controls)} controls")


def _listen(names: list[str] | None) -> tuple[Ports, Waiting]:
    """Listen to the ports named. Raises VivantError where this machine has none at all."""
    from vivant.runtime.frames import MonotonicClock
    from vivant.runtime.midi.ports import Ports, Waiting, present_ports
    from vivant.runtime.midi.section import TCP

    wanted = names or ["all"]
    if not all(name.startswith(TCP) for name in wanted):
        present_ports()
    waiting = Waiting(MonotonicClock())
    return Ports(wanted, waiting, feedback=False), waiting


def _moves(waiting: Waiting) -> list[tuple[str, Moved]]:
    from vivant.runtime.midi.controls import Reader

    readers: dict[str, Reader] = {}
    found = []
    while (heard := waiting.take()) is not None:
        port, message, _ = heard
        found += [(port, moved) for moved in readers.setdefault(port, Reader()).moves(message)]
    return found


def _next(waiting: Waiting) -> Moved:
    """The control that is moved next, and pressed rather than let go of."""
    _moves(waiting)
    while True:
        for _, moved in _moves(waiting):
            if moved.position:
                return moved
        time.sleep(POLL_S)


def _asked(moved: Moved, tree: Tree) -> str:
    """The address that a person types for a control; asked again until there is one of the name."""
    from vivant.runtime.midi.mapping import Binding, binding_problems

    while True:
        text = str(typer.prompt(f"{moved.control}: which parameter", default="", show_default=False)).strip()
        if not text:
            return ""
        binding = Binding(control=str(moved.control), to=text)
        trouble = next(binding_problems(binding, tree), None)
        if trouble is None:
            return binding.address
        typer.echo(trouble)
