"""A show in which one latent in twenty is spoiled, beside the same seconds unspoiled: what was judged of
them, and whether anything can be seen of it in the recording.

    python -m vivant.tools.spoiled_show --seconds 60 --out out/spoiled

Runs `vivant run` three times, headless and recorded: twice as it is, once with VIVANT_TRIAL_SPOIL. Exit code
1 when a spoiled latent was decoded as it was, or the recordings tell them apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from vivant.runtime.frames import U8, Array

SIDE_PX: Final = 96  # recordings are compared at this size
APART_S: Final = 2.0  # shows are not of one clock: a picture is looked for so far around its time
CALM_S: Final = 3.0  # from the start, left out: engines warm up
MORE: Final = 1.25  # by so much the largest difference of a spoiled show may exceed that of an unspoiled one


@dataclass(frozen=True, slots=True)
class Film:
    """Pictures u8 (N, S, S, 3) of a recording, and their times in seconds f64 (N,)."""

    pictures: U8
    at_s: Array


@dataclass(frozen=True, slots=True)
class Steps:
    """How far pictures are from those before, mean absolute difference in grey levels: median, 99 of 100, 999
    of 1000, most."""

    p50: float
    p99: float
    p999: float
    most: float


def show(out: Path, name: str, seconds: float, share: float, more: Sequence[str]) -> Path:
    """Record a show; its latents are spoiled with this probability."""
    film, log = out / f"{name}.mp4", out / f"{name}.jsonl"
    log.unlink(missing_ok=True)
    words = [
        "run", *more, "--headless", "--seconds", str(seconds), "--record", str(film),
        "--report", str(out / f"{name}.json"), "--osc", "off", "--set", "style/cycle_s=0",
    ]  # fmt: skip
    variables = {**os.environ, "VIVANT_TRIAL_SPOIL": str(share), "VIVANT_TRIAL_LOG": str(log)}
    command = [sys.executable, "-P", "-m", "vivant.tools.spoiling", *words]
    subprocess.run(command, env=variables, check=True)
    return film


def read(path: Path) -> Film:
    """A recording, brought down to SIDE_PX, from CALM_S on."""
    film = cv2.VideoCapture(str(path))
    pictures, at_s = [], []
    while True:
        more, frame = film.read()
        if not more:
            break
        time_s = film.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if time_s >= CALM_S:
            pictures.append(cv2.resize(frame, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA))
            at_s.append(time_s)
    film.release()
    return Film(np.asarray(pictures, np.uint8), np.asarray(at_s))


def steps_of(film: Film) -> Steps:
    apart = np.abs(np.diff(film.pictures.astype(np.int16), axis=0)).mean((1, 2, 3))
    return Steps(*(float(x) for x in np.quantile(apart, (0.5, 0.99, 0.999, 1.0))))


def strangeness(film: Film, usual: Film) -> Array:
    """Of each picture, how far it is from the nearest of another recording around the same time."""
    found = []
    for picture, time_s in zip(film.pictures, film.at_s, strict=True):
        near = usual.pictures[np.abs(usual.at_s - time_s) <= APART_S].astype(np.int16)
        found.append(np.abs(near - picture.astype(np.int16)).mean((1, 2, 3)).min() if len(near) else np.nan)
    return np.asarray(found)


def judgements(log: Path) -> dict[str, Any]:
    """What became of the spoiled latents of a show, counted from its log."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    spoiled = [line for line in lines if line["way"]]
    through = [line for line in spoiled if line["decoded"] and line["as_it_was"]]
    return {
        "latents": len(lines),
        "spoiled": len(spoiled),
        "verdicts": dict(Counter(line["verdict"] for line in spoiled)),
        "decoded_as_it_was": dict(Counter(line["way"] for line in through)),
        "ways": dict(Counter(line["way"] for line in spoiled)),
        "others_held": sum(not line["decoded"] for line in lines if not line["way"]),
    }


def compared(films: Mapping[str, Film]) -> dict[str, Any]:
    """Steps of every recording; how strange the second's and the spoiled one's pictures are to the first."""
    usual = films["usual"]
    return {
        "steps": {name: asdict(steps_of(film)) for name, film in films.items()},
        "strangest": {
            name: float(np.nanmax(strangeness(films[name], usual))) for name in ("again", "spoiled")
        },
        "pictures": {name: len(film.pictures) for name, film in films.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description="A show in which some latents are spoiled, and what is seen of it."
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("out/spoiled"))
    parser.add_argument("--scene", default="scenes/mirror.toml")
    parser.add_argument("--input", default="performer")
    parser.add_argument("--student", default="house")
    parser.add_argument("--share", type=float, default=0.05)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    more = (given.scene, "--input", given.input, "--student", given.student)
    films = {
        name: read(show(given.out, name, given.seconds, share, more))
        for name, share in (("usual", 0.0), ("again", 0.0), ("spoiled", given.share))
    }
    found = {**judgements(given.out / "spoiled.jsonl"), **compared(films)}
    (given.out / "spoiled_show.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    most = max(found["steps"][name]["most"] for name in ("usual", "again"))
    seen = found["steps"]["spoiled"]["most"] > MORE * most
    strange = found["strangest"]["spoiled"] > MORE * found["strangest"]["again"]
    return int(bool(found["decoded_as_it_was"]) or seen or strange)


if __name__ == "__main__":
    sys.exit(main())
