"""`vivant adapters fit`: a LoRA file of too high a rank, written anew at that of a student's slots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Annotated

import typer


def fit(
    file: Annotated[Path, typer.Argument(help="A LoRA file (safetensors)")],
    student: Annotated[str, typer.Option(help="Whose slots it is for: a student's name or folder")] = "house",
    rank: Annotated[
        int | None, typer.Option(help="The rank to write; that of the student's slots if not given", min=1)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; FILE-rankR beside it if not given")
    ] = None,
) -> None:
    """Reduce a LoRA file to a lower rank, by the singular values of each layer, and say what is lost.

    For a file whose rank is above that of a student's slots. The file itself stays as it is.
    """
    from vivant.engines.card import Card
    from vivant.engines.kinds import kind_of, rank_of
    from vivant.engines.student import find
    from vivant.runtime.frames import VivantError

    card = Card.read(find(student))
    most = rank_of(card)
    wanted = most if rank is None else rank
    if wanted > most:
        raise VivantError(f"--rank {wanted}: a slot of {card.name} holds {most}. Give that or less")
    place = out or file.with_name(f"{file.stem}-rank{wanted}.safetensors")
    if place.exists():
        raise VivantError(f"{place} is there already. Name another with --out, or delete it")
    try:
        lost = kind_of(card).reduce_adapter(card, file, wanted, place)
    except OSError as error:
        raise VivantError(f"{place} cannot be written ({error.strerror}). Name another with --out") from error
    _tell(lost, wanted, place)


def _tell(lost: Mapping[str, float], rank: int, place: Path) -> None:
    """What it cost: of a layer's change, the share that is lost."""
    worst = max(lost, key=lambda name: lost[name])
    above = sum(share > 0.0 for share in lost.values())
    typer.echo(f"{above} of {len(lost)} layers were above rank {rank} and are reduced")
    middle = median(lost.values())
    typer.echo(f"lost of a layer's change: {middle:.1%} in the median, {lost[worst]:.1%} at most ({worst})")
    typer.echo(f"  {place}")
