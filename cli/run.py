"""`vivant run SCENE`: the show."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vivant.runtime.tether import Tether

BEGAN_NS = time.perf_counter_ns()


def began_ns(tether: Tether | None) -> int:
    """When this program was started, on the monotonic clock: the process that watches over it, where it is
    the first that one started; when this was imported, where nobody knows."""
    import psutil

    watched = tether is not None and not tether.before.restarts
    age_s = time.time() - float(psutil.Process(os.getppid() if watched else None).create_time())
    return min(BEGAN_NS, time.perf_counter_ns() - round(age_s * 1e9))


def parse_size(text: str) -> tuple[int, int]:
    """'1280x720' as (width, height). Raises typer.BadParameter."""
    width, _, height = text.lower().partition("x")
    if width.isdigit() and height.isdigit() and 0 < int(width) <= 16384 and 0 < int(height) <= 16384:
        return int(width), int(height)
    raise typer.BadParameter(f"'{text}' is not WIDTHxHEIGHT, for example 1280x720")


def run(
    scene: Annotated[str, typer.Argument(help="A scene file, or the name of one that ships: mirror")],
    source: Annotated[
        str | None,
        typer.Option("--input", help="camera:0, clip:PATH, performer, ndi:NAME, ..., instead of the scene's"),
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No window: draw off-screen")] = False,
    seconds: Annotated[float | None, typer.Option(help="End after so long", min=0.1)] = None,
    record: Annotated[Path | None, typer.Option(help="Record what is shown, FILE.mp4")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report, FILE.json")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of eight moments, FILE.png (needs --seconds)")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="ADDRESS=VALUE", help="Set a parameter at start; may be repeated"),
    ] = None,
    osc: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Listen for OSC here, or 'off'")
    ] = None,
    oscquery: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Be found by OSCQuery here, with a page of sliders; or 'off'"),
    ] = None,
    osc_record: Annotated[Path | None, typer.Option(help="Keep what is heard over OSC, FILE.oscl")] = None,
    osc_replay: Annotated[Path | None, typer.Option(help="Say again what was kept, FILE.oscl")] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:NAME",
            help="Hand the picture on: ndi:NAME, spout:NAME, syphon:NAME, camera:DEVICE; may be repeated",
        ),
    ] = None,
    sound: Annotated[
        str | None,
        typer.Option(metavar="default|DEVICE|FILE|off", help="What is heard, instead of the scene's"),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="auto, tensorrt, openvino, onnxruntime, torch or null")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="int8, half, bf16 or float")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="cuda:N|cpu", help="Which GPU, or none; the first if not given")
    ] = None,
    student: Annotated[str | None, typer.Option(help="A student's name or folder")] = None,
    picture: Annotated[
        str | None,
        typer.Option(
            metavar="WxH", help="Size of the painted picture, multiples of 32; the ladder stays off"
        ),
    ] = None,
    fullscreen: Annotated[bool, typer.Option("--fullscreen", help="Fill the monitor")] = False,
    monitor: Annotated[int | None, typer.Option(help="Which monitor, from 0", min=0)] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Size of the window in pixels")] = None,
    keep_alive: Annotated[
        bool | None,
        typer.Option(
            "--keep-alive/--no-keep-alive",
            help="Start it again when it crashes or hangs, where it stood; so it is unless --headless",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a scene: take frames in, paint them, judge them, show them. Esc or Ctrl-C ends it."""
    del keep_alive  # vivant.cli.app has read it, before anything was loaded
    from vivant.runtime.tether import Tether, following

    tether = Tether.find()
    start_ns = began_ns(tether)
    if tether is not None and tether.before.restarts:  # nothing that was kept is overwritten
        record, osc_record = (None if path is None else following(path) for path in (record, osc_record))
    from vivant.engines.machine import use_device
    from vivant.runtime.adapters.lock import check_files, check_known
    from vivant.runtime.making import Wishes
    from vivant.runtime.scene import change_scene, find_scene, load_scene
    from vivant.runtime.show import run_show
    from vivant.runtime.sound.section import named_input

    changes = {
        "input": source,
        "osc.listen": osc,
        "osc.oscquery": oscquery,
        "outputs": tuple(output) if output else None,
        "sound.input": None if sound is None else named_input(sound),
        "backend": backend,
        "precision": precision,
        "student": student,
        "size": None if picture is None else parse_size(picture),
        "ladder": None if picture is None else False,
        "fullscreen": fullscreen or None,
        "monitor": monitor,
        "window_size": None if size is None else parse_size(size),
    }
    file = find_scene(scene)
    lock = check_files(file)
    wanted = change_scene(
        load_scene(file), {key: value for key, value in changes.items() if value is not None}
    )
    if lock is not None:
        check_known(lock, wanted, file)
    if sheet is not None and seconds is None:
        raise typer.BadParameter("a contact sheet spreads over the show's length: give --seconds too")
    if device is not None:
        use_device(device)
    locked = None if lock is None else lock.hashes
    wishes = Wishes(
        headless,
        seconds,
        record,
        report,
        sheet,
        tuple(assignments or ()),
        locked,
        osc_record=osc_record,
        osc_replay=osc_replay,
        tether=tether,
    )
    made = run_show(wanted, wishes, start_ns)
    files = (record, sheet, report, osc_record)
    say(made, [path for path in files if path is not None and path.exists()])


def say(report: dict[str, object], written: list[Path]) -> None:
    """Two or three lines on how it went and where the files are."""
    frames, latency = report["frames"], report["capture_to_present"]
    assert isinstance(frames, dict)
    assert isinstance(latency, dict)
    if latency["p50_ms"] is None:
        typer.echo("No picture was shown.")
    else:
        typer.echo(
            f"{frames['presented']} pictures shown; captured to presented "
            f"p50 {latency['p50_ms']:.1f} ms, p95 {latency['p95_ms']:.1f} ms; "
            f"held {frames['held']}, dropped {frames['dropped']}, late {frames['late']}."
        )
    for path in written:
        typer.echo(f"  {path}")
