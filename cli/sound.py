"""`vivant sound`: what can be heard, what is heard, and music to rehearse with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from vivant.runtime.sound.listening import SoundSource

app = typer.Typer(help="What can be heard, what is heard, and music to rehearse with.", no_args_is_help=True)

METER: Final = 40  # characters of a full bar
SHOWN_HZ: Final = 15


@app.command("devices")
def list_devices() -> None:
    """Show the inputs that a scene may name under [sound]."""
    from vivant.runtime.frames import VivantError
    from vivant.runtime.sound.ears import portaudio

    library = portaudio()
    inputs = [one for one in library.query_devices() if one["max_input_channels"] > 0]
    if not inputs:
        raise VivantError('there is no sound input on this machine: plug one in, or use input = "file:PATH"')
    usual = library.query_devices(None, "input")["index"]
    for one in inputs:
        mark = "default" if one["index"] == usual else ""
        channels = f"{one['max_input_channels']} channels, {one['default_samplerate']:g} Hz"
        typer.echo(f"{one['name']}: {channels} {mark}".rstrip())


@app.command("look")
def look(
    file: Annotated[Path, typer.Argument(help="A recording; films too")],
    sheet: Annotated[Path | None, typer.Option(help="Draw what is heard, FILE.png")] = None,
) -> None:
    """Hear a recording as a show would, faster: its tempo, its beats, what is struck."""
    import numpy as np
    from rich.console import Console

    from vivant.runtime.sound.ears import check_file
    from vivant.runtime.sound.impression import impression_of_file

    check_file(file)
    with Console(stderr=True).status(f"hearing {file.name}"):
        heard = impression_of_file(file)
    known = heard.bpm[heard.bpm > 0]
    tempo = f"{float(np.median(known)):.1f} bpm" if len(known) else "no beat that is sure enough"
    first = f", the first at {heard.beats_s[0]:.2f} s" if heard.beats_s else ""
    typer.echo(
        f"{file.name}, {heard.at_s[-1]:.1f} s: {tempo}; {len(heard.beats_s)} beats{first}; "
        f"{len(heard.onsets_s)} strokes"
    )
    if sheet is not None:
        from vivant.runtime.sound.chart import sound_chart

        sound_chart(heard, file.name, sheet)
        typer.echo(f"  {sheet}")


@app.command("meter")
def meter(
    source: Annotated[str, typer.Argument(help="default, a device's name, or file:PATH")] = "default",
    channel: Annotated[int, typer.Option(help="Which channel, from 1; 0 mixes all", min=0)] = 0,
    seconds: Annotated[float | None, typer.Option(help="End after so long", min=0.1)] = None,
) -> None:
    """Show what is heard now, as the signals of a show. Ctrl-C ends it."""
    import contextlib
    import time

    from rich.console import Console
    from rich.live import Live

    from vivant.runtime.frames import MonotonicClock, VivantError
    from vivant.runtime.sound.ears import ear_for
    from vivant.runtime.sound.listening import SoundSource
    from vivant.runtime.sound.section import Sound, named_input, sound_parameters
    from vivant.runtime.tree import Tree

    try:
        section = Sound.model_validate({"input": named_input(source), "channel": channel})
    except ValueError as error:
        raise VivantError(f"{source} cannot be heard: there is no such file") from error
    clock, values = MonotonicClock(), Tree(tuple(sound_parameters({"input": source}))).current
    opened = ear_for(section, clock)
    if opened is None:
        raise VivantError("off is nothing to listen to")
    opened().close()
    ear = SoundSource(section, opened, values)
    begun_s = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt), Live(console=Console(), refresh_per_second=SHOWN_HZ) as live:
        while seconds is None or time.monotonic() - begun_s < seconds:
            live.update(meters(ear, clock.now_ns()))
            time.sleep(1.0 / SHOWN_HZ)
    ear.close()


def meters(ear: SoundSource, now_ns: int) -> Table:
    """One row for each signal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    found = ear.signals(now_ns)
    counts = ear.counts()
    table.add_row(str(counts["from"]), str(counts["reason"] or counts["state"]))
    for name, value in found.items():
        bar = "" if name == "bpm" else "█" * round(min(value, 1.0) * METER)
        table.add_row(name, f"{bar} {value:.1f}" if name == "bpm" else bar)
    return table


@app.command("demo")
def demo(
    file: Annotated[Path, typer.Argument(help="Where to write it, FILE.wav")],
    bpm: Annotated[float, typer.Option(help="Beats a minute", min=40, max=220)] = 120.0,
    seconds: Annotated[float, typer.Option(help="How long", min=4, max=600)] = 60.0,
    seed: Annotated[int, typer.Option(help="Another seed, other noise", min=0)] = 0,
) -> None:
    """Write a piece of synthesised music of a known tempo, to try a scene without a band."""
    from vivant.runtime.frames import VivantError
    from vivant.runtime.sound.music import song, write_wav

    piece = song([bpm] * max(round(seconds * bpm / 60), 4), seed)
    try:
        write_wav(piece, file)
    except OSError as error:
        raise VivantError(f"{file} cannot be written: {error.strerror or error}") from error
    typer.echo(f"{file}: {len(piece.samples) / 44100:.1f} s at {bpm:g} beats a minute")
