"""Run a scene for minutes or months and say what drifts: memory, handles, threads, p99.

    python -m vivant.tools.soak scenes/mirror.toml --minutes 10 -- --input performer --headless

Exit code 1 when memory grew by more than the limit after the first minute, or handles grew at all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.progress import Progress, TimeRemainingColumn

SAMPLE_S = 2.0
SETTLE_S = 60.0
MEMORY_LIMIT = 0.02
SHOW_END_S = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the show's processes, all of them together."""

    at_s: float
    memory_mb: float
    handles: int
    threads: int


def look(process: psutil.Process, at_s: float) -> Sample | None:
    """Memory that is the processes' own (shared pages counted once), handles and threads; None when gone."""
    memory_mb, handles, threads = 0.0, 0, 0
    try:
        for one in [process, *process.children(recursive=True)]:
            full = one.memory_full_info()
            memory_mb += getattr(full, "pss", full.rss) / 2**20
            handles += one.num_fds() if hasattr(one, "num_fds") else one.num_handles()
            threads += one.num_threads()
    except psutil.NoSuchProcess:
        return None
    return Sample(at_s, memory_mb, handles, threads)


def watch(process: psutil.Process, seconds: float) -> list[Sample]:
    """Look every two seconds until the show is over."""
    samples: list[Sample] = []
    began = time.perf_counter()
    with Progress(*Progress.get_default_columns()[:-1], TimeRemainingColumn()) as progress:
        task = progress.add_task("soaking", total=seconds)
        while (at_s := time.perf_counter() - began) < seconds:
            sample = look(process, at_s)
            if sample is None:
                break
            samples.append(sample)
            progress.update(task, completed=at_s)
            time.sleep(SAMPLE_S)
    return samples


def drift(values: list[float]) -> float:
    """How much the last fifth's median is above the first fifth's, as a share of it."""
    part = max(1, len(values) // 5)
    first, last = median(values[:part]), median(values[-part:])
    return (last - first) / first if first else 0.0


def judge(samples: list[Sample], report: dict[str, Any]) -> int:
    """Print the table; the exit code."""
    settled = [sample for sample in samples if sample.at_s >= SETTLE_S] or samples
    if len(settled) < 5:
        print("too short to say anything: give it at least two minutes", file=sys.stderr)
        return 2
    memory = drift([sample.memory_mb for sample in settled])
    handles = settled[-1].handles - settled[0].handles
    print(f"samples after the first minute: {len(settled)}")
    print(f"memory  {settled[0].memory_mb:8.1f} MB -> {settled[-1].memory_mb:8.1f} MB  drift {memory:+.2%}")
    print(f"handles {settled[0].handles:8d}    -> {settled[-1].handles:8d}")
    print(f"threads {settled[0].threads:8d}    -> {settled[-1].threads:8d}")
    minutes = report.get("minutes", [])
    for number, minute in enumerate(minutes, 1):
        p50_ms, p99_ms = minute["p50_ms"], minute["p99_ms"]
        print(f"minute {number:4d}: captured to presented p50 {p50_ms:.1f} p99 {p99_ms:.1f} ms")
    if len(minutes) > 2:
        worse = drift([minute["p99_ms"] for minute in minutes[1:]])
        print(f"p99 drift {worse:+.1%} over {len(minutes) - 1} minutes")
    print(f"frames {report.get('frames')}; render process {report.get('render_process')}")
    return 1 if memory > MEMORY_LIMIT or handles > 0 else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m vivant.tools.soak",
        usage="%(prog)s SCENE [--minutes M] [-- what to pass on to `vivant run`]",
        description="Run a scene for minutes or months and say what drifts.",
    )
    parser.add_argument("scene")
    parser.add_argument("--minutes", type=float, default=10.0)
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    wanted, passed_on = parser.parse_args(given[:at]), given[at + 1 :]
    seconds = wanted.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-P", "-m", "vivant.cli.app", "run", wanted.scene, *passed_on]
        show = subprocess.Popen([*command, "--seconds", str(seconds), "--report", str(report)])
        samples = watch(psutil.Process(show.pid), seconds)
        code = show.wait(SHOW_END_S)
        if code != 0 or not report.exists():
            print(f"the show ended with exit code {code}", file=sys.stderr)
            return 2
        return judge(samples, json.loads(report.read_text()))


if __name__ == "__main__":
    sys.exit(main())
