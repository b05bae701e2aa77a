"""What swapping adapters costs: frames with a random swap each few of them, and frames without, interleaved.

    python -m vivant.tools.swaps --swaps 1000

Both kinds are measured in one run, in turns of TURN frames, so that whatever else the machine does meets
both. A frame is the whole path from encode to decode; besides the time that passed, the processor's time that
it took is told, which neighbours change less. Exit code 1 when the p99 with swaps is more than 5 % above that
without, or memory grew.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path as File

import numpy as np
import psutil
from rich.progress import track

from vivant.engines.machine import cores
from vivant.engines.registry import choose
from vivant.runtime.exchange import make_lanes
from vivant.runtime.frames import Controls, Frame, MonotonicClock
from vivant.runtime.path import Path, Stopwatch, StudentChoice
from vivant.runtime.scene import find_scene, load_scene, tree_of
from vivant.runtime.senses.performer import SEED, SIZE_PX, Performer

TURN = 20  # frames
SWAP_EVERY = 4  # frames in a turn with swaps: five swaps a turn
BLEND_SHARE = 0.3  # of the swaps go to a blend of two
WARM_UP = 40
P99_LIMIT = 0.05
MEMORY_LIMIT = 0.02
FPS = 30.0


Cost = tuple[float, float]


@dataclass(slots=True)
class Found:
    """(milliseconds, milliseconds of the processor) of every frame, and of the very frames on which a swap
    took effect."""

    still: list[Cost] = field(default_factory=list)
    swapping: list[Cost] = field(default_factory=list)
    at_swap: list[Cost] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


def looks(names: list[str], rng: np.random.Generator) -> Iterator[dict[str, float]]:
    """Adapter scales, another look each time: one alone at a random scale, or two of them."""
    while True:
        count = 2 if len(names) > 1 and rng.random() < BLEND_SHARE else 1
        chosen = rng.choice(names, count, replace=False)
        yield {str(name): float(rng.uniform(0.3, 1.0)) for name in chosen}


def measured(path: Path, base: Controls, names: list[str], swaps: int, seed: int) -> Found:
    """Turns with and without swaps until there were enough."""
    import multiprocessing as mp

    rng, clock, found = np.random.default_rng(seed), MonotonicClock(), Found()
    watch = Stopwatch(clock, make_lanes(mp.get_context("spawn")).pulse)
    performer = Performer(SIZE_PX, SEED, FPS)
    frames = [performer.frame(k) for k in range(0, 160, 2)]
    wanted, process = looks(names, rng), psutil.Process()
    worn, serial, turns = next(wanted), 0, -(-swaps * SWAP_EVERY // TURN)

    def paint() -> Cost:
        nonlocal serial
        serial += 1
        controls = replace(base, serial=serial, stamp_ns=clock.now_ns(), adapters=worn)
        frame = Frame(frames[serial % len(frames)], serial, clock.now_ns())
        watch.start(frame.captured_ns)
        began, used = time.perf_counter_ns(), time.process_time_ns()
        path.picture(frame, controls, watch, serial)
        return (time.perf_counter_ns() - began) / 1e6, (time.process_time_ns() - used) / 1e6

    for _ in range(WARM_UP):
        worn = next(wanted)
        paint()
    for turn in track(range(2 * turns), "swapping"):
        for index in range(TURN):
            swaps_now = turn % 2 == 1 and index % SWAP_EVERY == 0
            if swaps_now:
                worn = next(wanted)
            cost = paint()
            (found.swapping if turn % 2 else found.still).append(cost)
            if swaps_now:
                found.at_swap.append(cost)
        found.memory_mb.append(process.memory_info().rss / 2**20)
    return found


def judge(found: Found) -> int:
    """Print the table; the exit code."""
    rows = (("without swaps", found.still), ("with swaps", found.swapping), ("at a swap", found.at_swap))
    print(
        f"{'ms of a frame':16}{'frames':>8}{'p50':>8}{'p95':>8}{'p99':>8}{'worst':>8}   processor p50     p99"
    )
    p99s = []
    for name, costs in rows:
        passed, used = np.array(costs).T
        p50, p95, p99 = np.percentile(passed, (50, 95, 99))
        used50, used99 = np.percentile(used, (50, 99))
        print(
            f"{name:16}{len(costs):8d}{p50:8.2f}{p95:8.2f}{p99:8.2f}{max(passed):8.2f}{used50:16.2f}{used99:8.2f}"
        )
        p99s.append((p99, used99))
    slower, dearer = (with_swaps / without - 1 for without, with_swaps in zip(*p99s[:2], strict=True))
    part = max(1, len(found.memory_mb) // 5)
    begin, end = float(np.median(found.memory_mb[:part])), float(np.median(found.memory_mb[-part:]))
    print(
        f"{len(found.at_swap)} swaps; p99 {slower:+.1%} (limit {P99_LIMIT:+.0%}), "
        f"of the processor's time {dearer:+.1%}"
    )
    print(f"memory {begin:.1f} MB -> {end:.1f} MB, {end / begin - 1:+.2%} (limit {MEMORY_LIMIT:+.0%})")
    return int(slower > P99_LIMIT or end / begin - 1 > MEMORY_LIMIT)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vivant.tools.swaps", description=__doc__.split("\n")[0])
    parser.add_argument("--scene", default="mirror", help="whose student, size and values")
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=cores(), help="as many as a show has, if not given")
    parser.add_argument("--names", nargs="*", help="adapters to swap; all that the student has if none")
    asked = parser.parse_args()
    scene = load_scene(find_scene(asked.scene))
    backend, _ = choose(scene.backend)
    base = tree_of(scene).controls(0, 0, scene.size)
    files = tuple(name for name in scene.adapters if File(name).is_file())
    choice = StudentChoice(scene.student, backend, scene.precision, asked.threads, 0, files)
    with Path(choice, scene.size, base) as path:
        names = asked.names or sorted(path.student.adapters)
        if not names:
            print(f"student {scene.student} has no adapter to swap", file=sys.stderr)
            return 2
        print(f"{scene.student} on {backend} in {scene.precision} at {scene.size[0]}x{scene.size[1]}, "
              f"{asked.threads} threads, {len(names)} adapters")  # fmt: skip
        return judge(measured(path, base, names, asked.swaps, asked.seed))


if __name__ == "__main__":
    sys.exit(main())
