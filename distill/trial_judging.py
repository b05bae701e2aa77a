"""What a guard says of pictures it was not fitted to: kind by kind, in every medium, with counts and
intervals, and a sheet of what came nearest to being judged wrongly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from vivant.engines.contract import LoadedStudent
from vivant.guardrails.guard import Guard
from vivant.guardrails.probe_fit import interval
from vivant.runtime.frames import U8, Controls, Latent

THUMB_PX: Final = 128
ACROSS: Final = 10  # thumbs in a row of the sheet
STRONGEST: Final = 1.0

Spoiling = Callable[[Latent, np.random.Generator], tuple[Latent, Mapping[str, Any]]]
"""A latent made into another one, with what there is to say of it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture to judge, u8 (H, W, 3), and what there is to say of it: its scale, its contrast, its way."""

    pixels: U8
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One judgement: in which medium, whether it was held, by what, how sure, after how many milliseconds."""

    medium: str
    held: bool
    score: float
    reason: str
    took_ms: float
    facts: Mapping[str, Any]
    thumb: U8


def media_of(student: LoadedStudent) -> list[tuple[str, Mapping[str, float]]]:
    """Every style and every adapter of a student by name, with the adapters that are worn for it."""
    plain: list[tuple[str, Mapping[str, float]]] = [(style, {}) for style in student.card.styles]
    return plain + [(name, {name: 1.0}) for name in student.adapters]


def controls_for(student: LoadedStudent, index: int, rng: np.random.Generator) -> tuple[str, Controls]:
    """The medium of a turn, at a strength over the whole range and one step or two."""
    media = media_of(student)
    name, worn = media[index % len(media)]
    styles = student.card.styles
    style = name if name in styles else str(rng.choice(styles))
    return name, Controls(
        strength=float(rng.uniform(0.0, STRONGEST)),
        steps=int(rng.integers(1, 3)),
        seed=index,
        styles={style: 1.0},
        adapters=worn,
        size_px=student.size_px,
    )


def judged(
    student: LoadedStudent,
    guard: Guard,
    pictures: Iterable[Shown],
    stream: int,
    spoil: Spoiling | None = None,
) -> Iterator[Row]:
    """A row for each picture, in each medium in turn."""
    for index, shown in enumerate(pictures):
        rng = np.random.default_rng((stream, index))
        medium, controls = controls_for(student, index, rng)
        latent = student.denoise(student.encode(shown.pixels), controls)
        facts = shown.facts
        if spoil is not None:
            latent, more = spoil(latent, rng)
            facts = {**facts, **more}
        yield timed(guard, latent, controls, medium, replace(shown, facts=facts))


def timed(guard: Guard, latent: Latent, controls: Controls, medium: str, shown: Shown) -> Row:
    """One latent's row, with the milliseconds that judging it took."""
    began = time.perf_counter()
    verdict = guard.judge(latent, controls)
    took_ms = (time.perf_counter() - began) * 1000
    size = (THUMB_PX, THUMB_PX)
    thumb = np.asarray(cv2.resize(shown.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Row(medium, not verdict.admits, verdict.score, verdict.reason, took_ms, shown.facts, thumb)


def rate_of(rows: Sequence[Row]) -> dict[str, Any]:
    """How many of them were held, with the 95 % interval (Wilson 1927)."""
    held = sum(row.held for row in rows)
    low, high = interval(held, len(rows))
    return {"held": held, "of": len(rows), "rate": held / max(len(rows), 1), "interval_95": [low, high]}


def counted(rows: Sequence[Row], by: Mapping[str, Sequence[float]] | None = None) -> dict[str, Any]:
    """The rates of a kind: of all, by medium, by reason, and for each fact in `by` between its edges or, for
    one without edges, by its value."""
    why: dict[str, int] = {}
    for row in rows:
        if row.held:
            why[row.reason.split(":")[0]] = why.get(row.reason.split(":")[0], 0) + 1
    media = sorted({row.medium for row in rows})
    p50, p99 = np.percentile([row.took_ms for row in rows], (50, 99))
    return {
        **rate_of(rows),
        "by_medium": {name: rate_of([row for row in rows if row.medium == name]) for name in media},
        "why": why,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        **{f"by_{fact}": table_of(rows, fact, edges) for fact, edges in (by or {}).items()},
    }


def table_of(rows: Sequence[Row], fact: str, edges: Sequence[float]) -> dict[str, Any]:
    """Rates by a fact: between `edges`, or by value where there are none."""
    if not edges:
        values = sorted({str(row.facts[fact]) for row in rows})
        return {value: rate_of([row for row in rows if str(row.facts[fact]) == value]) for value in values}
    return {
        f"{low:.3g} to {high:.3g}": rate_of([row for row in rows if low <= row.facts[fact] < high])
        for low, high in pairwise(edges)
    }


def said(kind: str, found: Mapping[str, Any]) -> str:
    """The rates of a kind in a few lines."""
    lines = [f"{kind}: {_rate(found)}; judging p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms"]
    for name, table in found.items():
        if name.startswith("by_") and name != "by_medium":
            lines += [f"    {name[3:]} {span}: {_rate(rate)}" for span, rate in table.items() if rate["of"]]
    low = min(found["by_medium"].items(), key=lambda one: one[1]["rate"])
    high = max(found["by_medium"].items(), key=lambda one: one[1]["rate"])
    lines.append(f"    least in {low[0]}: {_rate(low[1])}; most in {high[0]}: {_rate(high[1])}")
    lines += [f"    {count} x {reason}" for reason, count in found["why"].items()]
    return "\n".join(lines)


def _rate(rate: Mapping[str, Any]) -> str:
    low, high = rate["interval_95"]
    return f"held {rate['held']} of {rate['of']}, {rate['rate']:.2%} (95 %: {low:.2%} to {high:.2%})"


def sheet(kinds: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draws two rows of each kind: what was held with the least doubt or passed most easily, and what came
    nearest to the line or lies on its wrong side, with the score of each (held below 0.5)."""
    strips = []
    for kind, rows in kinds.items():
        order = sorted(rows, key=lambda row: row.score)
        nearest = sorted(rows, key=lambda row: abs(row.score - 0.5))[:ACROSS]
        clear = order[::-1] if kind.startswith("approved") else order
        for title, chosen in ((f"{kind}: clear", clear[:ACROSS]), (f"{kind}: nearest to the line", nearest)):
            strips.append(_strip(title, chosen))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(strips)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 78])


def _strip(title: str, rows: Sequence[Row]) -> U8:
    strip = np.full((THUMB_PX + 38, ACROSS * (THUMB_PX + 4), 3), 255, np.uint8)
    cv2.putText(strip, title, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    for place, row in enumerate(rows):
        left = place * (THUMB_PX + 4)
        strip[20 : 20 + THUMB_PX, left : left + THUMB_PX] = row.thumb
        colour = (190, 20, 20) if row.held else (20, 110, 40)
        label = f"{'held' if row.held else 'passed'} {row.score:.2f} {row.medium}"
        at = (left + 2, THUMB_PX + 33)
        cv2.putText(strip, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.33, colour, 1, cv2.LINE_AA)
    return strip
