"""`vivant triggers`: what a scene's triggers are, and what they would do in a day or a week."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    import datetime as dt

    from vivant.runtime.scene import Scene
    from vivant.runtime.triggers.recorded import Recorded
    from vivant.runtime.triggers.simulate import Plan, Simulation
    from vivant.runtime.triggers.visitors import Visitors

app = typer.Typer(help="A scene's triggers, and what they would do in a week.", no_args_is_help=True)

SHOWN: Final = 40
PIPED_WIDTH: Final = 200  # so that lines stay whole in a file
LONGEST_DAYS: Final = 400


@app.command("list")
def list_triggers(
    scene: Annotated[str, typer.Argument(help="A scene file, or the name of one that ships: attract")],
) -> None:
    """Show a scene's triggers: when they fire and what they do."""
    from vivant.runtime.scene import find_scene, load_scene
    from vivant.runtime.triggers.wording import act_text, on_text, part_text

    rules = load_scene(find_scene(scene)).triggers
    if not rules:
        typer.echo(f"{scene} has no triggers. docs/triggers.md shows how to write some.")
    for rule in rules.values():
        group = "" if rule.group is None else f" (group {rule.group}, priority {rule.priority})"
        typer.echo(f"{rule.name}{group}" + (f": {rule.meaning}" if rule.meaning else ""))
        typer.echo(f"  when   {part_text(rule.when)}{on_text(rule)}")
        for word, acts in (("do", rule.do), ("after", rule.after)):
            if acts:
                typer.echo(f"  {word:6} " + ", ".join(map(act_text, acts)))
        if rule.cooldown_s:
            typer.echo(f"  then   not again for {rule.cooldown_s:g} s")


@app.command("simulate")
def simulate_triggers(
    scene: Annotated[str, typer.Argument(help="A scene file, or the name of one that ships: attract")],
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="2026-11-21T08:00; this midnight if not given"),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Until when; a day later if not given")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="So many days, instead of --to", min=0.001, max=LONGEST_DAYS)
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Europe/Vienna; the scene's calendar.zone if not given")
    ] = None,
    signals: Annotated[
        Path | None,
        typer.Option(
            help="Recorded signals, FILE.csv: time, and any of the scene: presence, low, people, beat_phase"
        ),
    ] = None,
    visitors: Annotated[
        float | None,
        typer.Option(help="Made-up visitors instead: so many an hour from 10:00 to 19:00", min=0),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the visitors, and of the dice; a show throws those of 0")] = 0,
    step_s: Annotated[
        float, typer.Option("--step", help="Seconds from one look to the next", min=0.01, max=60)
    ] = 1.0,
    picture: Annotated[Path | None, typer.Option(help="Draw the timeline, FILE.png")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every firing, FILE.json")] = None,
    every: Annotated[bool, typer.Option("--all", help=f"List every firing, not the first {SHOWN}")] = False,
) -> None:
    """Run a scene's triggers through a day or a week in seconds, on a clock of its own."""
    from vivant.runtime.frames import VivantError
    from vivant.runtime.report import write_json
    from vivant.runtime.scene import change_scene, find_scene, load_scene
    from vivant.runtime.triggers.almanac import zone_of
    from vivant.runtime.triggers.simulate import Plan

    piece = load_scene(find_scene(scene))
    if zone is not None:
        piece = change_scene(piece, {"calendar.zone": zone})
    if not piece.triggers:
        raise VivantError(f"{scene} has no triggers to simulate. docs/triggers.md shows how to write some.")
    if signals is not None and visitors is not None:
        raise VivantError("--signals and --visitors: give one of them; both say who is there")
    first, seconds = span_of(begin, end, days, zone_of(piece.calendar.zone))
    source = source_of(piece, signals, visitors, first, step_s, seed)
    made = run(piece, Plan(first, seconds, step_s, source, seed))
    say(made, every, source is None)
    if json_file is not None:
        write_json(made.as_dict(), json_file)
        typer.echo(f"  {json_file}")
    if picture is not None:
        from vivant.runtime.triggers.timeline import draw_timeline

        drawn = draw_timeline(made, piece.title, picture)
        typer.echo(f"  {picture}" + (f" (the first {drawn} days)" if seconds > (drawn + 1) * 86_400 else ""))


def span_of(
    begin: str | None, end: str | None, days: float | None, zone: dt.tzinfo
) -> tuple[dt.datetime, float]:
    """From when, in the zone, and for how many seconds. Raises VivantError."""
    import datetime as dt

    from vivant.runtime.frames import VivantError

    def moment(option: str, text: str) -> dt.datetime:
        try:
            found = dt.datetime.fromisoformat(text)
        except ValueError as error:
            raise VivantError(f"{option} {text}: write it as 2026-11-21T08:00 ({error})") from error
        return found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone)

    if end is not None and days is not None:
        raise VivantError("--to and --days: give one of them")
    midnight = dt.datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight if begin is None else moment("--from", begin)
    last = first + dt.timedelta(days=1 if days is None else days) if end is None else moment("--to", end)
    seconds = last.timestamp() - first.timestamp()
    if not 0 < seconds <= LONGEST_DAYS * 86_400:
        raise VivantError(
            f"from {first} to {last}: should be more than nothing, and {LONGEST_DAYS} days at most"
        )
    return first, seconds


def source_of(
    piece: Scene,
    signals: Path | None,
    visitors: float | None,
    begin: dt.datetime,
    step_s: float,
    seed: int,
) -> Recorded | Visitors | None:
    """Whose signals the simulation sees. Raises VivantError for a file that cannot be read."""
    from vivant.runtime.scene import tree_of
    from vivant.runtime.scene_signals import sensed_by
    from vivant.runtime.triggers.recorded import read_signals
    from vivant.runtime.triggers.visitors import Visitors

    if signals is not None:
        sensed = sensed_by(piece.model_dump(exclude={"triggers", "cues"}))
        return read_signals(signals, begin, (*sensed, *piece.signals, *tree_of(piece).current))
    return None if visitors is None else Visitors(visitors, step_s, seed)


def run(piece: Scene, plan: Plan) -> Simulation:
    """Simulate, with a line that says how much is left."""
    from rich.console import Console
    from rich.progress import Progress, TimeRemainingColumn

    from vivant.runtime.scene import tree_of
    from vivant.runtime.triggers.simulate import simulate

    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    made: Simulation | None = None
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulating", total=plan.seconds)
        for so_far in simulate(piece, tree_of(piece), plan):
            made = so_far
            progress.advance(task, 3600.0)
    assert made is not None  # the last one always comes
    return made


def say(made: Simulation, every: bool, unseen: bool) -> None:
    """A table of the triggers, and one of the firings."""
    from rich.console import Console
    from rich.table import Table

    from vivant.runtime.triggers.wording import change_text, duration_text, on_text

    console = Console() if Console().is_terminal else Console(width=PIPED_WIDTH)
    table = Table("trigger", "fired", "first", "last", "stood", box=None, pad_edge=False)
    for name in made.rules:
        fired = [made.at(one.event.wall_s) for one in made.fired(name)]
        ends = [f"{at:%a %d %b %H:%M:%S}" for at in (fired[0], fired[-1])] if fired else ["never", ""]
        table.add_row(name, str(len(fired)), *ends, duration_text(made.stood_s(name)))
    console.print(table)
    if unseen:
        console.print("Nobody was there: give --visitors 10 or --signals FILE.csv to have signals.")
    if made.without_beat:
        console.print(
            f"{made.without_beat} wanted a beat and acted at once: in a simulation beats are those of "
            'parameters.tempo = { source = "tap", bpm = 120 }.'
        )
    listed = made.firings if every else made.firings[:SHOWN]
    table = Table("time", "trigger", "", "why", "changes", box=None, pad_edge=False)
    for one in listed:
        event = one.event
        changes = ", ".join(map(change_text, one.changes))
        why = event.why + on_text(event.rule)
        table.add_row(f"{made.at(event.wall_s):%a %d %b %H:%M:%S}", event.rule.name, event.what, why, changes)
    console.print(table)
    if len(listed) < len(made.firings):
        console.print(f"and {len(made.firings) - len(listed)} more: --all lists them")
