"""`vivant engines build`: engines that take minutes to build, before the show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli.run import parse_size

if TYPE_CHECKING:
    from vivant.engines.contract import Part
    from vivant.engines.tensorrt_build import Progress

BUILT = ("tensorrt",)  # the other backends compile in seconds, at their first start


def build(
    student: Annotated[str, typer.Argument(help="A student's name or folder")] = "house",
    backend: Annotated[str, typer.Option(help="tensorrt; the others need no build")] = "tensorrt",
    precision: Annotated[str, typer.Option(help="int8 or float")] = "int8",
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="WxH", help="One size, or several for the quality ladder; the student's own"),
    ] = None,
    compatibility: Annotated[
        str, typer.Option(help="this_gpu (fastest) or ampere_plus (any GPU of SM 8.0 or newer)")
    ] = "this_gpu",
) -> None:
    """Build a student's engines for this machine, with one fixed profile for each size."""
    from vivant.engines.card import Card
    from vivant.engines.student import find
    from vivant.engines.tensorrt_build import build_student

    for name, asked, known in (
        ("--backend", backend, BUILT),
        ("--precision", precision, ("int8", "float")),
        ("--compatibility", compatibility, ("this_gpu", "ampere_plus")),
    ):
        if asked not in known:
            raise typer.BadParameter(f"{name} {asked}: give {' or '.join(known)}")
    folder = find(student)
    own = Card.read(folder).default_size
    sizes = [parse_size(one) for one in size] if size else [(own, own)]
    began = time.monotonic()
    made = build_student(folder, precision, sizes, compatibility, _told)  # type: ignore[arg-type]  # checked
    for part, where in made.items():
        typer.echo(f"{part}: {where}")
    typer.echo(f"built in {time.monotonic() - began:.0f} s")


def _told(part: Part, progress: Progress) -> None:
    left = "" if progress.left_s is None else f", about {progress.left_s:.0f} s left"
    typer.echo(f"{part}: {progress.phase}, {progress.done:.0%}{left}", err=True)
