"""`vivant osc`: record what is said over OSC, and say it again."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from vivant.runtime.endpoints import Endpoint
    from vivant.runtime.tape import Heard, Recorded

app = typer.Typer(no_args_is_help=True)
LOOK_S: Final = 0.1  # between two looks at what came
NAP_S: Final = 0.5  # the longest sleep, so that Ctrl-C is heard


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="Where to write: FILE.oscl")],
    source: Annotated[
        str, typer.Option("--from", metavar="SCENE|HOST:PORT", help="Listen here, or where a scene listens")
    ] = "127.0.0.1:9000",
    seconds: Annotated[float | None, typer.Option(help="End after so long", min=0.1)] = None,
) -> None:
    """Listen in the place of a show and keep what comes. Ctrl-C ends it."""
    from rich.console import Console

    from vivant.runtime.frames import VivantError
    from vivant.runtime.port import Port
    from vivant.runtime.tape import Tape

    (listen, allow), console = _listening(source), Console(stderr=True)
    tape = Tape(file)
    try:
        port = Port(listen, allow, tap=tape.tap())
    except VivantError as error:
        tape.close()
        file.unlink()
        what = str(error).partition(". ")[0]
        raise VivantError(
            f"{what}. If it is a show, let it record itself: vivant run SCENE --osc-record {file}"
        ) from error
    began_s = time.monotonic()
    console.print(f"listening on {port.address[0]}:{port.address[1]}, writing {file}; Ctrl-C ends it")
    with suppress(KeyboardInterrupt), console.status("nothing has come yet") as status:
        while seconds is None or time.monotonic() - began_s < seconds:
            while port.take() is not None:
                continue
            status.update(f"{port.datagrams} packets in {time.monotonic() - began_s:.0f} s")
            time.sleep(LOOK_S)
    port.close()
    tape.close()
    counts = tape.counts()
    typer.echo(f"{counts['written']} packets in {file}" + _but(counts["lost"], counts["trouble"]))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording: FILE.oscl")],
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to send")] = "127.0.0.1:9000",
    speed: Annotated[float, typer.Option(help="2 is twice as fast", min=0.01, max=100)] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Again and again, until Ctrl-C")] = False,
) -> None:
    """Send a recording to a show, or to any program, at the times at which it was heard."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from vivant.runtime.endpoints import endpoint
    from vivant.runtime.tape import Recorded

    try:
        where = endpoint(to)
    except ValueError as error:
        raise typer.BadParameter(f"--to {to}: {error}") from error
    tape = Recorded(file)
    count, length_s = _measured(tape)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    sent = refused = 0
    with suppress(KeyboardInterrupt), Progress(*columns, transient=True) as progress:
        while True:
            task = progress.add_task(f"{length_s / speed:.0f} s to {to}", total=count)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
                done = _play(tape, door, where, speed, lambda task=task: progress.advance(task))
            sent, refused = sent + done[0], refused + done[1]
            if not loop or not count:
                break
            progress.remove_task(task)
    typer.echo(f"{sent} packets sent to {to}" + _but(refused, "nobody listens there", "not taken"))
    if tape.damaged:
        typer.echo(f"{tape.damaged} lines of {file} could not be read and were left out")


def _play(
    tape: Recorded, door: socket.socket, where: Endpoint, speed: float, sent_one: Any
) -> tuple[int, int]:  # Any: a function without arguments or value
    """Send a tape once; how many were sent and how many of them the other side did not take."""
    from vivant.runtime.frames import VivantError

    try:
        door.connect(where)
    except OSError as error:
        raise VivantError(f"{where[0]}:{where[1]} cannot be sent to: {error.strerror}") from error
    began_s, sent, refused = time.monotonic(), 0, 0
    for heard in tape:
        while (wait_s := began_s + heard.at_s / speed - time.monotonic()) > 0:
            time.sleep(min(wait_s, NAP_S))
        try:
            door.send(_for_now(heard, tape.wall_s))
        except ConnectionRefusedError:
            refused += 1
        except OSError as error:
            raise VivantError(f"{where[0]}:{where[1]} cannot be sent to: {error.strerror}") from error
        sent += 1
        sent_one()
    return sent, refused


def _for_now(heard: Heard, wall_s: float) -> bytes:
    """A packet with its time tags as far from now as they were when it was heard. What is no OSC was heard
    as it was, and is sent so."""
    from vivant.runtime.packets import Malformed, in_time, time_tag

    try:
        return in_time(heard.packet, time_tag(time.time()) - time_tag(wall_s + heard.at_s))
    except Malformed:
        return heard.packet


def _measured(tape: Recorded) -> tuple[int, float]:
    """How many packets a tape holds and how long it is, in seconds."""
    count, length_s = 0, 0.0
    for heard in tape:
        count, length_s = count + 1, heard.at_s
    tape.damaged = 0
    return count, length_s


def _listening(source: str) -> tuple[Endpoint, tuple[str, ...]]:
    """Where a scene, or the words HOST:PORT, listen, and to whom."""
    from vivant.runtime.endpoints import endpoint
    from vivant.runtime.frames import VivantError

    with suppress(ValueError):
        return endpoint(source), ()
    from vivant.runtime.scene import find_scene, load_scene

    osc = load_scene(find_scene(source)).osc
    if osc.listen_at is None:
        raise VivantError(f"{source} does not listen for OSC. Say where: --from 127.0.0.1:9000")
    return osc.listen_at, osc.allow


def _but(count: int, why: str, what: str = "lost") -> str:
    if not count:
        return ""
    return f"; {count} {what}" + (f" ({why})" if why else "")
