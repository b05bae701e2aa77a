"""Make one adapter file: what was wanted, checked; the lesson; the training; the file.

python -m vivant.distill.adapter riso --painter riso --host stipple --pool out/pool --minutes 8
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from vivant.distill.adapt import Adapting, Draw, Goal, adapt
from vivant.distill.lessons import painter_lesson, palette_lesson, pictures_lesson, read_palette
from vivant.distill.pool import Pool
from vivant.engines.adapter import AdapterInfo, read_adapter
from vivant.engines.card import Card, read_checked
from vivant.engines.house import RANK, House, Widths
from vivant.engines.slots import RECIPES
from vivant.engines.student import find
from vivant.runtime.frames import VivantError


@dataclass(frozen=True, slots=True)
class Wanted:
    """An adapter that somebody asks for: of one of `painter`, `palette` and a folder of `pictures`."""

    name: str
    painter: str | None = None
    palette: str | None = None
    pictures: Path | None = None
    host: str | None = None
    rank: int = RANK
    summary: str = ""
    license: str = "Apache-2.0"


def check(wanted: Wanted, card: Card) -> None:
    """Raises VivantError with everything that is wrong with a wish, at once."""
    problems = []
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", wanted.name):
        problems.append(f"  name '{wanted.name}': lower case letters, digits, - and _ only, a letter first")
    if wanted.name in card.styles:
        problems.append(f"  name '{wanted.name}': is a style of {card.name} already")
    if sum(source is not None for source in (wanted.painter, wanted.palette, wanted.pictures)) != 1:
        problems.append("  give one of --painter, --palette and --pictures: it learns from one thing")
    if wanted.painter is not None and wanted.painter not in RECIPES:
        problems.append(f"  painter '{wanted.painter}': is none of {', '.join(RECIPES)}")
    if wanted.palette is None and wanted.host not in card.styles:
        problems.append(f"  host '{wanted.host}': name the style to start from, of {', '.join(card.styles)}")
    if wanted.palette is not None and wanted.host is not None:
        problems.append("  host: a palette goes with every style and has none")
    if card.adapters is None or wanted.rank > card.adapters.rank:
        most = card.adapters.rank if card.adapters else 0
        problems.append(f"  rank {wanted.rank}: a slot of {card.name} holds {most}")
    if problems:
        raise VivantError("\n".join([f"adapter {wanted.name}: cannot be made", *problems]))


def lesson(wanted: Wanted, pool: Path, styles: tuple[str, ...]) -> tuple[Draw, Goal]:
    """What it is to learn. Raises VivantError when pictures or shards are missing."""
    host = wanted.host or styles[0]
    if wanted.painter is not None:
        return painter_lesson(_opened(pool, (wanted.painter,)), wanted.painter, styles, host)
    if wanted.palette is not None:
        return palette_lesson(_opened(pool, styles), read_palette(wanted.palette))
    assert wanted.pictures is not None
    return pictures_lesson(_opened(pool, styles), wanted.pictures, host)


def _opened(folder: Path, styles: tuple[str, ...]) -> Pool:
    pool = Pool(folder, styles)
    pool.refresh()
    return pool


def make_adapter(wanted: Wanted, student: str, pool: Path, out: Path, minutes: float) -> Path:
    """Train and write `out`/NAME.safetensors. Raises VivantError for what cannot be made."""
    import safetensors.torch

    folder = find(student)
    card = Card.read(folder)
    check(wanted, card)
    draw, goal = lesson(wanted, pool, tuple(card.styles))
    if card.weights is None:
        raise VivantError(f"student {card.name} has no weights to train upon")
    house = House(Widths(**card.trained.get("widths", {})), len(card.styles))
    house.load_state_dict(safetensors.torch.load(read_checked(folder, card.weights)))
    adapting = Adapting.begin(house, wanted.rank)
    adapt(adapting, draw, goal, minutes)
    path = out / f"{wanted.name}.safetensors"
    adapting.save(path, _info(wanted, card, minutes))
    read_adapter(path, card)
    return path


def _info(wanted: Wanted, card: Card, minutes: float) -> AdapterInfo:
    given = {
        f.name: getattr(wanted, f.name)
        for f in dataclasses.fields(wanted)
        if f.name in ("painter", "palette", "host") and getattr(wanted, f.name) is not None
    }
    told = " ".join(f"--{key} '{value}'" for key, value in given.items())
    told += " --pictures FOLDER" * (wanted.pictures is not None)
    return AdapterInfo(
        name=wanted.name,
        summary=wanted.summary or f"{wanted.name}, upon {wanted.host or 'every style'}",
        student=card.name,
        host=wanted.host,
        recipe=wanted.painter,
        alpha=wanted.rank,
        upon=card.weights.sha256 if card.weights else "",
        rank=wanted.rank,
        made_with=f"vivant distill adapter {wanted.name} {told} --minutes {minutes:g}",
        license=wanted.license,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a LoRA adapter upon the house student.")
    parser.add_argument("name")
    parser.add_argument("--painter")
    parser.add_argument("--palette")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--summary", default="")
    parser.add_argument("--student", default="house")
    parser.add_argument("--pool", type=Path, default=Path("out/pool"))
    parser.add_argument("--out", type=Path, default=Path("out/adapters"))
    parser.add_argument("--minutes", type=float, default=8.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    wanted = Wanted(
        given.name, given.painter, given.palette, given.pictures, given.host, summary=given.summary
    )
    print(make_adapter(wanted, given.student, given.pool, given.out, given.minutes))


if __name__ == "__main__":
    main()
