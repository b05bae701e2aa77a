"""Multiply-accumulates of a student, part by part: python -m vivant.tools.macs STUDENT [--size 512x512]"""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from vivant.engines.macs import Macs, count_student
from vivant.engines.student import find

GIGA = 1e9


def main(student: str, size: str = "", precision: str = "float") -> None:
    """Counts in the graphs themselves; nothing is run."""
    width, _, height = size.partition("x")
    found = count_student(find(student), (int(width), int(height or width)) if size else None, precision)  # type: ignore[arg-type]
    columns = ("convolution", "linear", "attention", "adapters", "total")
    table = Table(title=f"{student} {size or 'at its own size'}, GMAC a run")
    table.add_column("part")
    for column in columns:
        table.add_column(column, justify="right")
    whole = Macs(*(sum(getattr(one, name) for one in found.values()) for name in columns[:-1]))
    for part, macs in [*found.items(), ("all", whole)]:
        table.add_row(part, *(f"{getattr(macs, name) / GIGA:.3f}" for name in columns))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
