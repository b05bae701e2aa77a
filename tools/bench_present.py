"""How long the present process takes to draw a new picture on this machine's OpenGL, off the screen.

    python -P -m vivant.tools.bench_present --target 1920x1080 --target 3840x2160 --json out/present.json

What is timed is what a refresh does with a fresh picture: upload, every pass of the look, the flash guard,
and waiting until the graphics card is done.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.engines.bench import moving_scene
from vivant.runtime.canvas import Canvas, Look
from vivant.runtime.frames import U8, MonotonicClock, VivantError
from vivant.runtime.placing import Size
from vivant.runtime.surface import open_headless

WARM_UP: Final = 10
LOOKS: Final[Mapping[str, tuple[Look, float]]] = {
    "as it is": (Look(), 1.0),
    "crossfade, every look": (Look(exposure=0.2, contrast=1.1, grain=0.4, vignette=0.4, mirror=True), 0.5),
}
"""A look, and how far a crossfade into the newest picture is."""


def measure(target_px: Size, picture_px: int, seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each look. Raises VivantError without OpenGL."""
    clock = MonotonicClock()
    surface = open_headless(target_px, clock=clock)
    try:
        canvas = Canvas(surface.context)
        renderer = surface.context.info["GL_RENDERER"]
        pictures = [_opaque(frame) for frame in moving_scene((picture_px, picture_px))]
        for name, (look, fade) in LOOKS.items():
            times: list[float] = []
            begun = clock.now_ns()
            while len(times) <= WARM_UP or clock.now_ns() - begun < seconds * 1e9:
                start_ns = clock.now_ns()
                canvas.show(pictures[len(times) % len(pictures)])
                canvas.draw(surface.target(), target_px, look, fade, time_s=(start_ns - begun) / 1e9)
                surface.context.finish()
                times.append((clock.now_ns() - start_ns) / 1e6)
            p50, p95, p99 = np.percentile(times[WARM_UP:], (50, 95, 99)).round(3).tolist()
            figures = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "runs": len(times) - WARM_UP}
            size = f"{target_px[0]}x{target_px[1]}"
            yield {"on": renderer, "target": size, "picture": picture_px, "look": name} | figures
    finally:
        surface.close()


def told(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table in Markdown."""
    lines = ["| present, p50 / p99 ms | " + " | ".join(LOOKS) + " |", "|---|" + "---|" * len(LOOKS)]
    for target in dict.fromkeys(row["target"] for row in rows):
        mine = {row["look"]: row for row in rows if row["target"] == target}
        cells = (f"{mine[look]['p50_ms']:.2f} / {mine[look]['p99_ms']:.2f}" for look in LOOKS)
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", action="append", metavar="WxH", help="may be repeated; 1920x1080")
    parser.add_argument("--picture", type=int, default=512, help="side of the student's picture")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each look")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    begun = time.monotonic()
    try:
        for target in asked.target or ["1920x1080"]:
            width, _, height = target.partition("x")
            rows += measure((int(width), int(height)), asked.picture, asked.seconds)
    except (VivantError, ValueError) as error:
        parser.error(str(error))
    print(f"{rows[0]['on']}, {time.monotonic() - begun:.0f} s\n{told(rows)}")
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")


def _opaque(frame: U8) -> U8:
    return np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])


if __name__ == "__main__":
    main()
