"""`vivant scenes`: what ships, and whether a scene file is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.runtime.frames import VivantError

if TYPE_CHECKING:
    from vivant.runtime.cues.preview import Place, Still
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
    from vivant.runtime.adapters.lock import check_files, check_known
    from vivant.runtime.changing import programme_of, unheard
    from vivant.runtime.isf.looking import undrawable
    from vivant.runtime.isf.section import files_in
    from vivant.runtime.problems import report
    from vivant.runtime.scene import find_scene, load_scene, shipped

    troubles = []
    for file in files or list(shipped()):
        try:
            path = find_scene(file)
            lock = check_files(path)
            scene = load_scene(path)
            if lock is not None:
                check_known(lock, scene, path)
            scenes = programme_of(scene)
            grave, warnings = doubts_of(scene)
            warnings += unheard(scenes)
            grave += undrawable(files_in(scene.effects, scene.transitions, scene.input))
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


SceneFile = Annotated[
    str, typer.Argument(metavar="SCENE", help="A scene file, or the name of one that ships")
]


@app.command("preview")
def preview_scene(
    scene: SceneFile,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.png", help="Where to; NAME-preview.png if not given")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--input", help="camera:0, clip:PATH or performer, instead of the scene's")
    ] = None,
    settle_s: Annotated[
        float, typer.Option("--settle", metavar="SECONDS", help="How long each cue gets", min=0.1, max=60)
    ] = 1.0,
) -> None:
    """Draw a sheet of every cue: a show runs without a window, goes to one after another, and keeps each.

    Of a scene without cues: its start and every medium. Triggers and cues that would go by themselves rest,
    and nothing is listened to: no microphone, OSC, MIDI or Link.
    """
    from vivant.runtime.cues.preview import draw_stills, hurried, places_of
    from vivant.runtime.scene import change_scene, find_scene, load_scene, tree_of

    path = find_scene(scene)
    asked: dict[str, object] = {"outputs": [], "audit": "off", "ladder": False}
    asked |= {} if source is None else {"input": source}
    loaded = hurried(change_scene(load_scene(path), asked))
    places = places_of(loaded, tree_of(loaded))
    stills = visited(loaded, places, settle_s, path.stem)
    file = Path(f"{path.stem}-preview.png") if out is None else out
    if len(stills) < len(places):
        raise VivantError(f"{scene}: stopped after {len(stills)} of {len(places)} pictures; no sheet")
    draw_stills(stills, file)
    typer.echo(f"{file}: {len(places)} pictures")


def visited(scene: Scene, places: Sequence[Place], settle_s: float, name: str) -> list[Still]:
    """Run a show that goes to every place, with a bar that says where it is."""
    import logging
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from vivant.runtime.cues.preview import Visits
    from vivant.runtime.making import Wishes
    from vivant.runtime.show import run_show

    began_ns = time.perf_counter_ns()
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*shown, transient=True) as progress:
        task = progress.add_task(f"{name}: waking up", total=len(places))

        def told(done: int, of: int) -> None:
            following = places[done].name if done < of else "writing"
            progress.update(task, completed=done, description=f"{name}: {following}")

        visits = Visits(places, settle_s, told)
        log = logging.getLogger("vivant")
        level = log.level
        log.setLevel(logging.WARNING)  # a bar is enough
        try:
            run_show(scene, Wishes(headless=True, visits=visits), began_ns)
        finally:
            log.setLevel(level)
    return visits.stills


@app.command("lock")
def lock_scene(scene: SceneFile) -> None:
    """Write down what makes the scene's picture: student, guards and adapters by their content.

    From then on the scene starts only while every one of them is the same file. Each is kept in the registry,
    so that `vivant scenes rollback` can go back to this lock after a later one.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from vivant.runtime.adapters.lock import files_of, lock_path, make_lock
    from vivant.runtime.adapters.registry import Registry
    from vivant.runtime.scene import find_scene, load_scene

    path, registry = find_scene(scene), Registry.own()
    loaded = load_scene(path)
    total = sum(file.stat().st_size for file in files_of(loaded, path).values())
    shown = (TextColumn("keeping {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*shown, transient=True) as progress:
        task, sizes = progress.add_task("", total=total), [0]

        def told(name: str, size: int) -> None:
            progress.update(task, description=name, advance=sizes[-1])
            sizes.append(size)

        made, before = make_lock(loaded, path, registry, told)
    if before is made:
        typer.echo(
            f"{lock_path(path)}: nothing changed since {made.made}; {len(made.files)} files are locked"
        )
        return
    typer.echo(f"{lock_path(path)}: {len(made.files)} files are locked, kept in {registry.folder}")
    if before is not None:
        for line in differences(before.files, made.files):
            typer.echo(f"  {line}")
        typer.echo(f"Back to the lock of {before.made}: vivant scenes rollback {scene}")


@app.command("rollback")
def roll_back_scene(scene: SceneFile) -> None:
    """Go back to the lock before the present one, and put back the files that it names."""
    from vivant.runtime.adapters.lock import locked, roll_back
    from vivant.runtime.adapters.registry import Registry
    from vivant.runtime.scene import find_scene

    path = find_scene(scene)
    left = locked(path)
    lock, put_back = roll_back(path, Registry.own())
    typer.echo(f"{path} is as it was locked on {lock.made}; {counted(put_back)} put back")
    for line in differences(left.files, lock.files):
        typer.echo(f"  {line}")


@app.command("restore")
def restore_scene(scene: SceneFile) -> None:
    """Put back every file that is not what the scene's lock says."""
    from vivant.runtime.adapters.lock import locked, restore
    from vivant.runtime.adapters.registry import Registry
    from vivant.runtime.scene import find_scene

    path = find_scene(scene)
    put_back = restore(path, locked(path), Registry.own())
    typer.echo(f"{path}: {counted(put_back)} put back")
    for name in put_back:
        typer.echo(f"  {name}")


def counted(files: Sequence[str]) -> str:
    """How many files were, in words."""
    return "1 file was" if len(files) == 1 else f"{len(files)} files were"


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """From one lock's files to another's, a line each."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            found.append(f"{name}: {'comes' if old is None else 'goes'}")
        elif old != new:
            found.append(f"{name}: {old[:12]} to {new[:12]}")
    return found


def doubts_of(scene: Scene) -> tuple[list[str], list[str]]:
    """What cannot be meant so about a scene's triggers, and what may be."""
    import datetime as dt

    from vivant.runtime.scene import tree_of
    from vivant.runtime.triggers.almanac import zone_of
    from vivant.runtime.triggers.review import Review

    today = dt.datetime.now(zone_of(scene.calendar.zone)).date()
    doubts = Review(scene.triggers, tree_of(scene), scene.calendar, today).doubts()
    return [one.text for one in doubts if one.grave], [one.text for one in doubts if not one.grave]
