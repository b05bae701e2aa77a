"""Throw everything at the doors of a real show while it runs, and say what the picture and the counters did.

    python -m vivant.tools.fuzz_doors [--seconds 5] [--only ws] [--json FILE]

A small scene runs headless with OSC, OSCQuery, MIDI over a network connection, cues, triggers, a drive and an
effect. Each phase stands beside the quiet ones of the same run. The senders run on this machine too, at a low
priority: `sender alone` is what such a sender costs by itself. Exit code 1 when no new picture came for three
seconds, the show died or lost its render process, a value became no number, or a counter that should have
moved did not.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing as mp
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from vivant.runtime.frames import VivantError
from vivant.tools import fuzzing
from vivant.tools.fuzzing import Attack, Target

SCENE: Final = """
title = "Fuzzed"
input = "performer"
student = "{student}"
backend = "{backend}"
size = [256, 256]
window_size = [128, 128]
ladder = false
audit = "off"

[osc]
listen = "127.0.0.1:{query}"
oscquery = "127.0.0.1:{query}"

[midi]
inputs = ["tcp:127.0.0.1:{midi}"]
map = "fuzzed-map.toml"

[[cues]]
name = "one"
fade_s = 0.5
follow_s = 1.0
set.look = {{ exposure = -0.5, saturation = 0.5 }}

[[cues]]
name = "two"
fade_s = 0.5
follow_s = 1.0
follow = "one"
set.look = {{ exposure = 0.5, saturation = 1.2 }}

[triggers.begin]
when = {{ signal = "age_s", below = 2 }}
do = {{ cue = "one" }}

[triggers.bright]
when = {{ signal = "beat_phase", above = 0.5 }}
do = {{ set = "look/grain", to = 0.2 }}

[drives.breath]
signal = "beat"
to = "look/contrast"
amount = 0.1

[effects.drift]
file = "chromatic_drift"
"""
MAP: Final = """
name = "fuzzed"
[[controls]]
control = "cc:1:16"
to = "look/exposure"
[[controls]]
control = "note:1:64"
to = "cues/go"
"""
SAY_S: Final = 0.2
BEGIN_S: Final = 120.0  # for the first pictures, on a busy machine
STOPPED_S: Final = 3.0
READY_S: Final = 2.5  # for senders to be there
END_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Phase:
    """Attacks at once; `door` None is quiet. `moved` are counters of the report that have to rise."""

    name: str
    door: str | None
    attacks: tuple[Attack, ...] = ()
    moved: tuple[str, ...] = ()


OSC: Final = (
    Phase("osc noise", "osc", (fuzzing.osc_noise,), ("osc.refused_by_reason.malformed",)),
    Phase("osc type tags", "osc", (fuzzing.osc_types,), ("osc.refused_by_reason.wrong_type",)),
    Phase("osc bundles", "osc", (fuzzing.osc_bundles,), ("osc.refused_by_reason.too_far", "osc.late")),
    Phase("osc NaN, inf", "osc", (fuzzing.osc_numbers,), ("osc.refused_by_reason.not_finite",)),
    Phase("osc unknown", "osc", (fuzzing.osc_unknown,), ("osc.refused_by_reason.unknown_address",)),
    Phase("osc flood", "osc", (fuzzing.osc_flood,), ("osc.applied", "osc.superseded")),
)
MIDI: Final = (
    Phase("midi sysex", "midi", (fuzzing.midi_sysex,), ("midi.refused_by_reason.system_exclusive",)),
    Phase("midi stray bytes", "midi", (fuzzing.midi_stray,), ("midi.refused_by_reason.stray",)),
    Phase("midi clock", "midi", (fuzzing.midi_clock,), ("midi.received",)),
    Phase("midi notes", "midi", (fuzzing.midi_notes,), ("midi.received", "midi.unmapped")),
    Phase("midi halves", "midi", (fuzzing.midi_halves,), ("midi.received",)),
)
QUERY: Final = (
    Phase("http noise", "oscquery", (fuzzing.http_noise,), ("oscquery.server.bad_requests",)),
    Phase("http headers", "oscquery", (fuzzing.http_headers,), ("oscquery.server.unread",)),
    Phase("http slow", "oscquery", (fuzzing.http_slow,), ("oscquery.server.too_many",)),
    Phase("http many", "oscquery", (fuzzing.http_many,), ("oscquery.server.too_many",)),
    Phase("ws frames", "oscquery", (fuzzing.ws_frames,), ("oscquery.server.broken",)),
    Phase("ws LISTEN", "oscquery", (fuzzing.ws_listen,), ("oscquery.server.commands",)),
    Phase("ws JSON", "oscquery", (fuzzing.ws_json,), ("oscquery.server.commands_refused",)),
    Phase("ws OSC flood", "oscquery", (fuzzing.ws_osc,), ("oscquery.applied", "oscquery.server.packets")),
)
ALONE: Final = Phase("sender alone", "", (fuzzing.sender_alone,))


def phases() -> Iterator[Phase]:
    """All of them in turn, a quiet one before each door, and everything at once."""
    quiet = Phase("quiet", None)
    yield from (quiet, ALONE)
    for door in (OSC, MIDI, QUERY):
        yield quiet
        yield from door
    yield quiet
    every = tuple(phase for door in (OSC, MIDI, QUERY) for phase in door)
    moved = ("osc.received", "midi.received", "oscquery.server.connections")
    yield Phase("all at once", "all", tuple(one for phase in every for one in phase.attacks), moved)
    yield quiet


@dataclass(frozen=True, slots=True)
class Found:
    """A phase: pictures a second, present-interval p50, p99 and most in ms, longest time without a picture,
    memory of the present process in MB at its end; how much each counter rose; what is wrong."""

    name: str
    pictures_s: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    still_s: float
    memory_mb: float
    rose: Mapping[str, float]
    wrong: tuple[str, ...]


class Show:
    """A running show, and what it says of itself five times a second."""

    def __init__(self, folder: Path, student: str, backend: str) -> None:
        query, midi = free_ports()
        scene = folder / "fuzzed.toml"
        scene.write_text(SCENE.format(student=student, backend=backend, query=query, midi=midi))
        (folder / "fuzzed-map.toml").write_text(MAP)
        self.target = Target(query, midi, query, floats_of(scene))
        self._log, self._said = folder / "said.jsonl", (folder / "show.log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vivant.tools.fuzz_doors", "--show", str(scene), str(self._log)],
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        self._read, self.lines = 0, list[dict[str, Any]]()

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def look(self) -> dict[str, Any]:
        """Read what was said since; the newest line. Raises VivantError where nothing was ever said."""
        if self._log.exists():
            with self._log.open(encoding="utf-8") as log:
                log.seek(self._read)
                whole = log.read().rpartition("\n")[0]
                self._read += len(whole.encode()) + bool(whole)
            self.lines += [json.loads(line) for line in whole.splitlines() if line]
        if not self.lines:
            raise VivantError(f"the show has not begun: {self.words()}")
        return self.lines[-1]

    def words(self) -> str:
        """The end of what it logged."""
        self._said.flush()
        self._said.seek(0)
        return self._said.read()[-2_000:]

    def until_pictures(self) -> None:
        """Wait for the first pictures. Raises VivantError when they do not come."""
        end_s = time.monotonic() + BEGIN_S
        while time.monotonic() < end_s and self.lives:
            time.sleep(0.3)
            if self._log.exists() and self._log.stat().st_size and self.look()["presented"] > 20:
                return
        raise VivantError(f"the show did not begin: {self.words()}")

    def memory_mb(self) -> float:
        try:
            return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20
        except psutil.NoSuchProcess:
            return 0.0

    def end(self) -> int | None:
        """Ask it to end, and wait; its exit code, None where it had to be killed."""
        self._process.terminate()
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None
        finally:
            self._said.close()


def free_ports() -> tuple[int, int]:
    """Two ports of this machine, free for UDP and TCP."""
    with socket.socket() as one, socket.socket() as other:
        one.bind((fuzzing.HOST, 0))
        other.bind((fuzzing.HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]


def floats_of(scene: Path) -> tuple[str, ...]:
    """The float parameters that can be set."""
    from vivant.runtime.scene import load_scene, tree_of

    found = tree_of(load_scene(scene)).parameters.values()
    return tuple(one.address for one in found if one.kind == "float" and not one.read_only)


def run_phase(show: Show, phase: Phase, seconds: float, seed: int) -> Found:
    """Let the attacks of a phase go for `seconds`, and see what the show did in these."""
    context = mp.get_context("spawn")
    begin_s = time.monotonic() + (READY_S if phase.attacks else 0.0)
    until_s = begin_s + seconds
    shares = [phase.attacks] if phase.door != "all" else [phase.attacks[at::3] for at in range(3)]
    senders = [
        context.Process(target=fuzzing.together, args=(share, show.target, seed + 100 * at, begin_s, until_s))
        for at, share in enumerate(shares)
        if share
    ]
    for sender in senders:
        sender.start()
    time.sleep(max(0.0, until_s - time.monotonic()) + SAY_S)
    for sender in senders:
        sender.join(10.0)
        if sender.is_alive():
            sender.kill()
    time.sleep(2 * SAY_S)
    show.look()
    return judged(phase, show, begin_s, until_s)


def judged(phase: Phase, show: Show, begin_s: float, until_s: float) -> Found:
    """What the lines between two times say; counters are read half a second after the end, when what waited
    was taken."""
    lines = show.lines
    inside = [line for line in lines if begin_s <= line["at_s"] <= until_s + SAY_S]
    before = next((line for line in reversed(lines) if line["at_s"] < begin_s), lines[0])
    after = lines[-1]
    rose = risen(before["doors"], after["doors"])
    intervals = sorted(ms for line in inside for ms in line["intervals_ms"]) or [math.inf]
    still_s = longest_still(lines, begin_s, time.monotonic())
    span_s = after["at_s"] - before["at_s"]
    wrong = [f"{name} did not move" for name in phase.moved if rose.get(name, 0) <= 0]
    if not show.lives:
        wrong.append("the show died")
    if still_s > STOPPED_S:
        wrong.append(f"no new picture for {still_s:.1f} s")
    if after["restarts"] > before["restarts"]:
        wrong.append("the render process was started again")
    if after["unfinite"]:
        wrong.append(f"no numbers: {', '.join(after['unfinite'])}")
    return Found(
        phase.name,
        (after["presented"] - before["presented"]) / span_s if span_s > 0 else 0.0,
        quantile(intervals, 0.5),
        quantile(intervals, 0.99),
        intervals[-1],
        still_s,
        show.memory_mb(),
        rose,
        tuple(wrong),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in order."""
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def longest_still(lines: Sequence[Mapping[str, Any]], begin_s: float, now_s: float) -> float:
    """The longest time in seconds without a new picture, up to now; within a fifth of a second."""
    longest, last_s, last = 0.0, begin_s, -1
    for line in lines:
        if line["at_s"] < begin_s:
            last = line["presented"]
        elif line["presented"] > last:
            longest = max(longest, line["at_s"] - last_s)
            last_s, last = line["at_s"], line["presented"]
    return max(longest, now_s - last_s)


def risen(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> dict[str, float]:
    """Every number of nested counts that is larger than it was, by its dotted path."""
    found: dict[str, float] = {}
    for name, value in after.items():
        inside = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            had = before.get(name)
            found |= risen(had if isinstance(had, Mapping) else {}, value, inside)
        elif isinstance(value, int | float) and (more := value - (before.get(name) or 0)) > 0:
            found[inside] = round(more, 3)
    return found


def show_itself(scene: str, log: str) -> int:
    """The process of the show: `vivant run` with somebody who writes down every fifth of a second."""
    from vivant.runtime import making
    from vivant.runtime.present import Present
    from vivant.runtime.scene import load_scene
    from vivant.runtime.show import run_show

    class Watched(Present):
        """The present loop, telling of itself."""

        last_ns = 0
        due_s = 0.0
        intervals_ms: tuple[float, ...] = ()

        def refresh(self) -> None:
            super().refresh()
            if self.last_ns:
                self.intervals_ms += (round((self._presented_ns - self.last_ns) / 1e6, 3),)
            self.last_ns = self._presented_ns
            now_s = time.monotonic()
            if now_s >= self.due_s:
                self.due_s = now_s + SAY_S
                self.tell(now_s)

        def tell(self, now_s: float) -> None:
            values = self._tree.current.items()
            line = {
                "at_s": now_s,
                "presented": self.meters.presented,
                "intervals_ms": self.intervals_ms,
                "restarts": self._render.restarts,
                "unfinite": [a for a, v in values if isinstance(v, float) and not math.isfinite(v)],
                "doors": self._with.doors.counts(),
            }
            said.write(json.dumps(line) + "\n")
            said.flush()
            self.intervals_ms = ()

    vars(making)["Present"] = Watched  # the only way in: nobody else needs one
    began_ns = time.perf_counter_ns()
    with Path(log).open("w", encoding="utf-8") as said:
        run_show(load_scene(Path(scene)), making.Wishes(headless=True), began_ns)
    return 0


def fuzz(
    seconds: float, only: Sequence[str] = (), student: str = "house", backend: str = "auto", seed: int = 1
) -> tuple[list[Found], list[str]]:
    """Run every phase, or the quiet ones and those whose name begins with one of `only`; what was found, and
    what is wrong with the show's end. Prints as it goes."""
    chosen = among(tuple(only))
    found: list[Found] = []
    with tempfile.TemporaryDirectory() as folder:
        show = Show(Path(folder), student, backend)
        try:
            show.until_pictures()
            time.sleep(2.0)
            print(HEAD)
            for number, phase in enumerate(chosen):
                found.append(run_phase(show, phase, seconds, seed + number * 1_000))
                print(line_of(found[-1], found), flush=True)
                if not show.lives:
                    print(show.words(), file=sys.stderr)
                    break
        finally:
            code = show.end()
    return found, [] if code == 0 else [f"the show ended with {code}"]


def among(only: tuple[str, ...]) -> list[Phase]:
    """The phases whose name begins with one of `only` (all, where there is none), with the quiet ones around
    them."""
    wanted = [p for p in phases() if p.door is None or not only or p.name.startswith(only)]
    pairs = zip(wanted, [None, *wanted], strict=False)
    return [one for one, before in pairs if one.door is not None or before is None or before.door is not None]


HEAD: Final = (
    f"{'phase':18}{'pictures/s':>12}{'ratio':>7}{'p99 ms':>9}{'ratio':>7}{'most':>8}{'MB':>7}  counters"
)


def line_of(one: Found, found: Sequence[Found]) -> str:
    """A line for people; ratios are to the mean of the quiet phases so far."""
    quiet = [f for f in found if f.name == "quiet"]
    pictures = sum(f.pictures_s for f in quiet) / len(quiet)
    p99_ms = sum(f.p99_ms for f in quiet) / len(quiet)
    rose = sorted(one.rose.items(), key=lambda item: -item[1])[:6]
    told = ", ".join(f"{name} +{value:g}" for name, value in rose)
    wrong = "".join(f"\n    WRONG: {words}" for words in one.wrong)
    return (
        f"{one.name:18}{one.pictures_s:12.1f}{one.pictures_s / max(pictures, 1e-9):7.2f}{one.p99_ms:9.1f}"
        f"{one.p99_ms / max(p99_ms, 1e-9):7.2f}{one.most_ms:8.1f}{one.memory_mb:7.0f}  {told}{wrong}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m vivant.tools.fuzz_doors", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each phase")
    parser.add_argument(
        "--only", action="append", default=[], help="phases whose name begins so; may be repeated"
    )
    parser.add_argument("--student", default="house")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--show", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.show:
        return show_itself(*asked.show)
    try:
        found, ended = fuzz(asked.seconds, asked.only, asked.student, asked.backend, asked.seed)
    except VivantError as error:
        print(error, file=sys.stderr)
        return 2
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    wrong = [f"{one.name}: {words}" for one in found for words in one.wrong] + ended
    print("\n".join(wrong) or "the picture went on, and every counter told")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
