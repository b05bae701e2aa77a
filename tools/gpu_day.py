"""Everything that there is to measure on an NVIDIA GPU, in one go: the house student, a diffusion student
beside its peer, presenting, and the tests that wait for a GPU.

    python -P -m vivant.tools.gpu_day --peer FOLDER --out out/gpu --minutes 9

Each part runs in a process of its own, with a time limit, and what a part lacks ends that part alone. The
report, in Markdown, is printed and written beside the figures and the logs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

from vivant.engines.machine import machine, versions

HOUSE_SIZES: Final = ("512x512", "1024x1024")
TARGETS: Final = ("1920x1080", "3840x2160")
LAST_LINES: Final = 12  # of a part that failed
RESERVE_S: Final = 10.0  # kept for writing the report
SHORTEST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to measure: a command, the packages without which it is not tried, the file that it writes
    its rows to, and how long it may take. `optional` parts are run when all others are done."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    limit_s: float = 120.0
    rows: Path | None = None
    optional: bool = False


@dataclass(slots=True)
class Outcome:
    """How a part went: its exit status (None: not tried), what it printed, and how long it took."""

    part: Part
    status: int | None
    text: str
    took_s: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.status == 0


def programme(out: Path, peer: Path | None, seconds: float) -> list[Part]:
    """The parts in their order, the most wanted first. `seconds` is how long each bench paints."""
    vivant = (sys.executable, "-P", "-m", "vivant.cli.app")
    tool = (sys.executable, "-P", "-m")
    found = []
    for size in HOUSE_SIZES:
        rows = out / f"house-{size}.json"
        bench = (*vivant, "bench", "--backend", "torch", "--size", size, "--seconds", str(seconds))
        found.append(Part(f"house {size}", (*bench, "--json", str(rows)), ("torch",), 3 * seconds + 90, rows))
    rows = out / "diffusion-512.json"
    diffusion = (*tool, "vivant.tools.bench_peer", "--size", "512", "--seconds", str(seconds))
    with_peer = ("--peer", str(peer)) if peer else ()
    needs = ("torch", "diffusers")
    command = (*diffusion, *with_peer, "--json", str(rows))
    found.append(Part("diffusion 512", command, needs, seconds + 120, rows))
    turbo = Path(gettempdir()) / "vivant-turbo-shaped"  # gigabytes, which nobody wants among the figures
    rows = out / "diffusion-in-the-show.json"
    command = (*tool, "vivant.tools.random_student", str(turbo), "--size", "512")
    found.append(Part("a student of random weights", command, needs, 120))
    bench = (*vivant, "bench", "--student", str(turbo), "--backend", "torch", "--seconds", str(seconds))
    found.append(Part("diffusion in the show", (*bench, "--json", str(rows)), needs, 3 * seconds + 120, rows))
    rows = out / "present.json"
    targets = [word for target in TARGETS for word in ("--target", target)]
    present = (*tool, "vivant.tools.bench_present", *targets, "--seconds", "4", "--json", str(rows))
    found.append(Part("present", present, ("moderngl",), 60, rows))
    tests = (*tool, "pytest", "tests/gpu", "-rs", "-q", "-p", "no:cacheprovider")
    found.append(Part("tests/gpu", tests, ("torch", "pytest"), 150))
    rows = out / "diffusion-512-compiled.json"
    command = (*diffusion, *with_peer, "--compile", "--json", str(rows))
    found.append(Part("diffusion 512, compiled", command, needs, seconds + 240, rows, optional=True))
    rows = out / "diffusion-512-int8.json"
    command = (*diffusion, "--compile", "--int8", "--json", str(rows))
    wanted = (*needs, "torchao")
    return [*found, Part("diffusion 512, INT8 tried", command, wanted, seconds + 400, rows, optional=True)]


def run(part: Part, logs: Path, left_s: float) -> Outcome:
    """Runs one part within its own limit and what is left of all time; its output goes to a log as it
    comes."""
    missing = [name for name in part.needs if find_spec(name) is None]
    if missing:
        return Outcome(part, None, f"not tried: {', '.join(missing)} cannot be imported here")
    limit_s = min(part.limit_s, left_s)
    if limit_s < SHORTEST_S:
        return Outcome(part, None, "not tried: no time was left")
    log = logs / f"{part.name.replace('/', '-').replace(',', '').replace(' ', '-')}.log"
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "160"}
    with log.open("w") as file:
        try:
            done = subprocess.run(
                part.command,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=limit_s,
                env=environment,
                check=False,
            )
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = 124
    took_s = time.monotonic() - begun
    text = log.read_text(errors="replace")
    if status == 124:
        text += f"\nended after {limit_s:.0f} s, which was its limit"
    rows = _rows(part.rows) if status == 0 and part.rows is not None else []
    return Outcome(part, status, text, took_s, rows)


def report(outcomes: Sequence[Outcome]) -> str:
    """The day in Markdown: what ran on what, a table of the figures of each part, and what failed how."""
    about = machine()
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [f"{about['gpu'] or 'no NVIDIA GPU'}; {about['cpu']}, {about['cores']} cores; {packages}", ""]
    for outcome in outcomes:
        how = "passed" if outcome.passed else "not tried" if outcome.status is None else "FAILED"
        lines += [f"## {outcome.part.name}: {how}, {outcome.took_s:.0f} s", ""]
        if outcome.rows:
            lines += [*table(outcome.rows), ""]
        if not outcome.passed or not outcome.rows:
            lines += ["```", *outcome.text.strip().splitlines()[-LAST_LINES:], "```", ""]
    return "\n".join(lines)


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Rows of any of the benches as a table: p50 / p99 in ms, a line for each contender, a column a stage."""
    stage = "stage" if "stage" in rows[0] else "look"
    keys = [key for key in rows[0] if key not in (stage, "p50_ms", "p95_ms", "p99_ms", "runs")]
    stages = list(dict.fromkeys(row[stage] for row in rows))
    lines = [f"| {' | '.join([*keys, *stages, 'runs'])} |", "|" + "---|" * (len(keys) + len(stages) + 1)]
    for named in dict.fromkeys(tuple(str(row[key]) for key in keys) for row in rows):
        mine = {row[stage]: row for row in rows if tuple(str(row[key]) for key in keys) == named}
        cells = [f"{mine[s]['p50_ms']:.2f} / {mine[s]['p99_ms']:.2f}" if s in mine else "" for s in stages]
        runs = str(max(row["runs"] for row in mine.values()))
        lines.append(f"| {' | '.join([*named, *cells, runs])} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", type=Path, help="a checkout of StreamDiffusion, to be measured beside ours")
    parser.add_argument("--out", type=Path, default=Path("out/gpu"))
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything")
    parser.add_argument("--seconds", type=float, default=15.0, help="that each bench paints")
    parser.add_argument("--only", action="append", metavar="NAME", help="parts whose name holds this")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    parts = programme(asked.out, asked.peer, asked.seconds)
    if asked.only:
        parts = [part for part in parts if any(word in part.name for word in asked.only)]
    ends = time.monotonic() + asked.minutes * 60 - RESERVE_S
    outcomes = []
    for part in sorted(parts, key=lambda part: part.optional):
        print(f"{part.name} ...", file=sys.stderr, flush=True)
        outcomes.append(run(part, asked.out, ends - time.monotonic()))
        (asked.out / "report.md").write_text(report(outcomes) + "\n")
    print(report(outcomes))
    sys.exit(0 if all(outcome.passed for outcome in outcomes if not outcome.part.optional) else 1)


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    made = json.loads(path.read_text())
    found: list[dict[str, Any]] = made["rows"] if isinstance(made, dict) else made
    return found


if __name__ == "__main__":
    main()
