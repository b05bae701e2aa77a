"""`vivant doctor`: what this machine has for the show, what it lacks, and what to do about it."""

from __future__ import annotations

import importlib
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

import typer

from vivant.engines.contract import Availability

State = Literal["ok", "warn", "fail"]
PORT: Final = 9000  # where a scene listens for OSC when it says nothing else
QUERY_PORT: Final = 9000  # what docs/osc.md suggests for OSCQuery: OSC's own number, over TCP
CORES: Final = 2  # the least that the house student was made for
MEMORY_GB: Final = 2.0
DRAWING_PACKAGES: Final = "apt install libegl1 libgles2 libgl1 libgl1-mesa-dri libegl-mesa0"
VITAL: Final = ("drawing", "backend", "student")  # of each of these, one thing must be in order


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at: what was found, and what to do when it is not "ok"."""

    about: str
    name: str
    state: State
    found: str
    do: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines")] = False,
) -> None:
    """Look at this machine; exit with 1 only when no show can run on it."""
    lines = [line for look in LOOKS for line in _safely(look)]
    runs = can_run(lines)
    if as_json:
        typer.echo(json.dumps({"can_run": runs, "lines": [asdict(line) for line in lines]}, indent=1))
    else:
        _print(lines, runs)
    raise typer.Exit(0 if runs else 1)


def can_run(lines: list[Line]) -> bool:
    """Whether at least one thing is in order of everything that a show cannot do without."""
    working = {line.about for line in lines if line.state == "ok"}
    return working.issuperset(VITAL)


def python() -> Iterator[Line]:
    from importlib.metadata import version

    found = f"Python {platform.python_version()}, vivant {version('vivant')}, {platform.platform(terse=True)}"
    yield Line("system", "python", "ok", found)


def hardware() -> Iterator[Line]:
    import psutil

    from vivant.engines.machine import cores, cpu_name

    usable, memory_gb = cores(), psutil.virtual_memory().total / 1e9
    enough = usable >= CORES and memory_gb >= MEMORY_GB
    yield Line(
        "system",
        "cpu",
        "ok" if enough else "warn",
        f"{cpu_name()}, {usable} cores, {memory_gb:.0f} GB",
        ""
        if enough
        else f"the show wants {CORES} cores and {MEMORY_GB:.0f} GB: ask for a smaller size in the scene",
    )


def drawing() -> Iterator[Line]:
    """OpenGL off the screen, and a display for a window."""
    from vivant.runtime.frames import MonotonicClock, VivantError
    from vivant.runtime.surface import display_present, open_headless

    try:
        surface = open_headless((64, 64), clock=MonotonicClock())
        info = surface.context.info
        surface.close()
        yield Line("drawing", "OpenGL", "ok", f"{info['GL_RENDERER']}, OpenGL {info['GL_VERSION']}")
    except (VivantError, OSError, ImportError) as error:
        yield Line("drawing", "OpenGL", "fail", str(error), DRAWING_PACKAGES)
    if not display_present():
        yield Line(
            "display", "window", "warn", "no display", "run with --headless, or in a session with a display"
        )
        return
    from vivant.runtime.window import load_glfw

    try:
        glfw = load_glfw()
        found = [_monitor(glfw, monitor) for monitor in glfw.get_monitors()]
        glfw.terminate()
        yield Line("display", "window", "ok", "; ".join(found) or "a display without a monitor")
    except VivantError as error:
        yield Line(
            "display", "window", "warn", str(error), "run with --headless, or repair the display session"
        )


def gpu() -> Iterator[Line]:
    from vivant.engines.machine import gpu_name

    name = gpu_name()
    if name is None:
        yield Line("system", "gpu", "ok", "no NVIDIA GPU: the student runs on the CPU")
    else:
        yield Line("system", "gpu", "ok", f"{name}, {_driver()}")


def backends() -> Iterator[Line]:
    from vivant.engines.registry import usable

    yield from of_backends(usable(deep=True))


def of_backends(found: Mapping[str, Availability]) -> list[Line]:
    """A backend that is missing is a failure only when no other can run a trained student."""
    from vivant.engines.registry import BACKENDS

    real = {name: state for name, state in found.items() if not BACKENDS[name].own_student}
    missing: State = "warn" if any(state.usable for state in real.values()) else "fail"
    return [
        Line("backend", name, "ok", state.version)
        if state.usable
        else Line("backend", name, missing, *_reason_and_remedy(state.reason))
        for name, state in real.items()
    ]


def _reason_and_remedy(reason: str) -> tuple[str, str]:
    what, _, command = reason.partition(" Run: ")
    return what, command or "see docs/rig.md"


def students() -> Iterator[Line]:
    from vivant.cli.engines import examine
    from vivant.engines.student import shipped

    trained = 0
    for name, folder in shipped().items():
        card, faults = examine(folder)
        if card is not None and not card.graphs and not faults:
            continue  # the null student: in order, and no picture to be proud of
        trained += 1
        if faults or card is None:
            yield Line(
                "student", name, "fail", "; ".join(faults), "copy its folder again, or reinstall vivant"
            )
        else:
            yield Line(
                "student", name, "ok", f"version {card.version}, {card.hash[:12]}, all files match its card"
            )
    if not trained:
        yield Line(
            "student", "none", "fail", "no trained student is here", "reinstall vivant, or export a student"
        )


def compiled() -> Iterator[Line]:
    from vivant.engines.manifest import REBUILD, cache_folder, kept_engines

    kept = kept_engines()
    for folder, fault in kept.items():
        if fault:
            yield Line(
                "student",
                folder.name,
                "fail",
                fault.partition("manifest: ")[2].removesuffix(REBUILD).strip(),
                f"delete {folder}",
            )
    good = sum(not fault for fault in kept.values())
    yield Line("system", "compiled", "ok", f"{good} engines in {cache_folder()} match their manifests")


def camera() -> Iterator[Line]:
    from vivant.runtime.senses.camera import cameras

    found = cameras()
    for one in found:
        yield Line("sense", "camera", "ok", f"{one.spec} ({one.name})")
    if not found:
        yield Line(
            "sense", "camera", "warn", "none", "plug one in, or use --input clip:FILE or --input performer"
        )


def audio() -> Iterator[Line]:
    """Sound is not needed to run; what would be missing for it is told."""
    try:
        sounddevice = importlib.import_module("sounddevice")
    except ImportError:
        yield Line("sense", "audio", "warn", "sounddevice is not installed", "pip install 'vivant[sound]'")
        return
    except OSError as error:
        yield Line("sense", "audio", "warn", f"PortAudio is missing ({error})", "apt install libportaudio2")
        return
    inputs = [device["name"] for device in sounddevice.query_devices() if device["max_input_channels"]]
    if inputs:
        yield Line("sense", "audio", "ok", ", ".join(inputs))
    else:
        yield Line("sense", "audio", "warn", "no input device", "plug a sound card or microphone in")


def midi() -> Iterator[Line]:
    """The controllers that are plugged in; a show goes on without."""
    from vivant.runtime.midi.ports import MidiError, present_ports

    try:
        heard, _ = present_ports()
    except MidiError as error:
        said, _, do = str(error).partition(". ")
        yield Line("midi", "midi", "warn", said, do)
        return
    yield Line("midi", "midi", "ok", ", ".join(heard) if heard else "no controller is plugged in")


def exchange() -> Iterator[Line]:
    """What may hand pictures to other programs, and take theirs."""
    from vivant.runtime.outputs.contract import OutputError
    from vivant.runtime.outputs.registry import KINDS

    for word, kind in KINDS.items():
        if kind.system not in ("", sys.platform):
            continue
        try:
            kind.check(kind.example.partition(":")[2])
        except OutputError as error:
            said, _, do = str(error).partition(". ")
            yield Line("outputs", word, "warn", said, do)
        else:
            yield Line("outputs", word, "ok", f"--output {kind.example}")


def body() -> Iterator[Line]:
    """Tracking of people is not needed to run; without mediapipe a fixed camera can do without a model."""
    from vivant.runtime.body.registry import KINDS
    from vivant.runtime.body.section import Body

    lacks = KINDS["mediapipe"].lacks(Body.model_validate({}))
    if not lacks:
        yield Line("sense", "body", "ok", "mediapipe with its models: mask, pose, hands")
        return
    what, _, command = lacks.partition(" Run: ")
    yield Line("sense", "body", "warn", f"people are tracked by what moves alone; {what}", command)


def privacy() -> Iterator[Line]:
    """What of the camera is stored or sent: nothing, unless it is asked for."""
    from vivant.runtime.audit import PICTURES, audit_folder, files_in

    yield Line("privacy", "camera", "ok", "no frame is stored or sent; frames stay in this machine's memory")
    yield Line(
        "privacy",
        "asked for",
        "ok",
        "pictures go to a file by --record, --sheet and [guard] audit_pictures alone, painted ones to other "
        "programs by an output that the scene names; [body] pose_only lets no pixel past tracking",
    )
    folder = audit_folder()
    logs = files_in(folder)
    kept = sum(1 for _ in (folder / PICTURES).glob("*")) if (folder / PICTURES).is_dir() else 0
    yield Line("privacy", "audit", "ok", f"{len(logs)} logs without pictures and {kept} pictures in {folder}")


def osc(port: int = PORT) -> Iterator[Line]:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            found = f"UDP port {port} cannot be had: {error.strerror}"
            yield Line(
                "door", "osc", "warn", found, "end what listens there, or run with --osc 127.0.0.1:9001"
            )
        else:
            yield Line("door", "osc", "ok", f"UDP port {port} is free")


def oscquery(port: int = QUERY_PORT) -> Iterator[Line]:
    """Its port, and whether other programs will see a show by themselves."""
    import socket

    from vivant.runtime.oscquery.announce import INSTALL, can_announce

    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        found = f"TCP port {port} cannot be had: {error.strerror}"
        yield Line("door", "oscquery", "warn", found, "run with --oscquery and another port")
        return
    if can_announce():
        yield Line("door", "oscquery", "ok", f"TCP port {port} is free; zeroconf announces a show")
    else:
        found = f"TCP port {port} is free; no zeroconf, so a show is found by its address only"
        yield Line("door", "oscquery", "warn", found, INSTALL)


LOOKS: Final[tuple[Callable[[], Iterator[Line]], ...]] = (
    python,
    hardware,
    gpu,
    drawing,
    backends,
    students,
    compiled,
    camera,
    audio,
    midi,
    exchange,
    body,
    osc,
    oscquery,
    privacy,
)


def _safely(look: Callable[[], Iterator[Line]]) -> list[Line]:
    """What a look finds. It meets machines in every state: its own failure is a finding, not the end."""
    try:
        return list(look())
    except Exception as error:
        return [
            Line("doctor", look.__name__, "fail", f"{type(error).__name__}: {error}", "please report this")
        ]


def _monitor(glfw: Any, monitor: Any) -> str:  # Any: glfw has no types
    mode, name = glfw.get_video_mode(monitor), glfw.get_monitor_name(monitor).decode(errors="replace")
    return f"{name} {mode.size.width}x{mode.size.height} at {mode.refresh_rate} Hz"


def _driver() -> str:
    from pathlib import Path

    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0].strip() if path.exists() else "driver unknown"


def _print(lines: list[Line], runs: bool) -> None:
    colours = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}
    for line in lines:
        mark = typer.style(f"{line.state:4}", fg=colours[line.state])
        typer.echo(f"{mark}  {line.about:8} {line.name:12} {line.found}")
        if line.do:
            typer.echo(f"{'':28}-> {line.do}")
    typer.echo("A show can run here." if runs else "No show can run here: repair what is marked fail.")
