"""A build as a person sees it: which step is at work, how long it still takes, and the table at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vivant.engines.builder.compare import Row, Threshold
    from vivant.engines.builder.estimate import Estimate
    from vivant.engines.builder.step import Step


class Lines:
    """Told where nobody watches a terminal: a line for each step."""

    def __init__(self, estimate: Estimate) -> None:
        self._estimate = estimate

    def planned(self, steps: list[Step]) -> None:
        self._estimate.planned(steps)

    def began(self, one: Step) -> None:
        self._estimate.began(one)
        left = duration(self._estimate.left_s)
        typer.echo(
            f"[{self._estimate.done + 1}/{self._estimate.count}] {one.name}, about {left} left", err=True
        )

    def further(self, one: Step, share: float) -> None:
        self._estimate.further(one, share)

    def ended(self, one: Step, seconds: float) -> None:
        self._estimate.ended(one, seconds)


class Bar(Lines):
    """Told on a terminal: one bar for the whole build."""

    def __init__(self, estimate: Estimate, progress: Progress) -> None:
        super().__init__(estimate)
        self._progress = progress
        self._task: TaskID = progress.add_task("", total=1.0, left="")

    def began(self, one: Step) -> None:
        self._estimate.began(one)
        self._show(one)

    def further(self, one: Step, share: float) -> None:
        super().further(one, share)
        self._show(one)

    def ended(self, one: Step, seconds: float) -> None:
        super().ended(one, seconds)
        self._progress.console.print(f"  {one.name}  {duration(seconds)}", style="dim", highlight=False)
        self._show(one)

    def _show(self, one: Step) -> None:
        estimate = self._estimate
        self._progress.update(
            self._task,
            description=f"{min(estimate.done + 1, estimate.count)}/{estimate.count} {one.name}",
            completed=estimate.share,
            left=f"about {duration(estimate.left_s)} left",
        )


@contextmanager
def shown(estimate: Estimate) -> Iterator[Lines]:
    """Who is told of a build's steps: a bar on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield Lines(estimate)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(estimate, progress)


def print_rows(rows: Sequence[Row], least: Threshold) -> None:
    """The worst row of each output, and whether it is near enough."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from vivant.engines.builder.compare import worst

    wishes = len({row.wish for row in rows})
    table = Table(
        title=f"against float, the worst of {wishes} ways to paint, adapters at several scales among them",
        caption=f"at least {least.psnr_db:g} dB and cosine {least.cosine:g}",
        box=SIMPLE,
        min_width=90,  # as wide as what stands above it
    )
    for heading in ("part", "output", "worst at", "PSNR", "cosine", ""):
        table.add_column(heading, justify="right" if heading in ("PSNR", "cosine") else "left", no_wrap=True)
    for row in worst(rows).values():
        good = "too far" if row.fails(least) else "ok"
        level = "equal" if row.psnr_db >= 200 else f"{row.psnr_db:.1f} dB"
        table.add_row(row.part, row.output, row.wish, level, f"{row.cosine:.6f}", good)
    Console(width=100).print(table)


def duration(seconds: float) -> str:
    """In words, no finer than it is known: 0.4 s, 12 s, 3 min, 1 h 20 min."""
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
