"""Builds engines in children that are killed: everything is imported once, before the first fork.

    python -P tests/build_server.py < orders > answers

Each line in is JSON: `home`, where all folders are to lie; `source`, the folder of a student, or of a model
where `is_model`; `after_s` or `when` (the name of a step that was done) say when its build is killed. Each
line out is how it ended: 0, or minus the signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import onnx  # noqa: F401
import onnx_graphsurgeon  # noqa: F401
import onnxruntime  # noqa: F401
import platformdirs
import polygraphy.backend.onnx
import polygraphy.comparator  # noqa: F401

with contextlib.suppress(ImportError):
    import torch  # noqa: F401  # polygraphy looks for it

from vivant.engines import manifest
from vivant.engines.bench import moving_scene
from vivant.engines.buildable import Machine
from vivant.engines.builder.build import build
from vivant.engines.builder.material import material_of
from vivant.engines.builder.order import Order
from vivant.engines.builder.step import Shelf, Unwatched
from vivant.engines.builder.store import shelf_folder
from vivant.guardrails.fit import fit_envelope

NAME = "painter"
SIZE = (64, 64)


def order_of(asked: dict[str, Any]) -> Order:
    """What every build here is asked for: a student with other slots, so that a student is installed too."""
    return Order(
        source=Path(asked["source"]),
        is_model=asked.get("is_model", False),
        name=NAME,
        backend="onnxruntime",
        precision="float",
        sizes_px=(SIZE,),
        machine=Machine(1),
        material=material_of(moving_scene(SIZE)),
        slots=(2, 4),
        fit=fit_envelope,
    )


class Noted(Unwatched):
    """Writes down each step that is done."""

    def __init__(self, home: Path) -> None:
        self._home = home
        manifest.kept_folder = lambda: home / "cache" / "engines"
        platformdirs.user_data_dir = lambda name: str(home / "data" / name)

    def ended(self, one, seconds):
        with (self._home / "done").open("a") as file:
            file.write(one.name + "\n")


def ended(child: int) -> int | None:
    """How a child ended, or None."""
    found, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def done(home: Path, name: str) -> bool:
    path = home / "done"
    return path.exists() and name in path.read_text().split("\n")


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        home = Path(asked["home"])
        if asked.get("is_model"):
            import vivant.engines.diffusion.folder  # noqa: F401  # once, for all children
        child = os.fork()
        if child == 0:
            code = 1
            try:
                watch = Noted(home)
                build(order_of(asked), Shelf(shelf_folder()), watch)
                code = 0
            finally:
                os._exit(code)
        began = time.monotonic()
        after_s, when = asked.get("after_s", float("inf")), asked.get("when")
        while (code := ended(child)) is None:
            if time.monotonic() - began > after_s or (when and done(home, when)):
                os.kill(child, signal.SIGKILL)
                after_s, when = float("inf"), None
            time.sleep(0.002)
        print(code, flush=True)


if __name__ == "__main__":
    main()
