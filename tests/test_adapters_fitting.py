"""Adapters are read on a thread, and a file's trouble is that file's alone."""

from __future__ import annotations

import time
from pathlib import Path

from vivant.engines.contract import EngineError, Fitted
from vivant.runtime.adapters.fitting import Fitting

LIMIT_S = 10.0


def read(path: Path) -> Fitted:
    if path.name == "bad":
        raise EngineError("it does not fit")
    if path.name == "worse":
        raise MemoryError("too large")
    return Fitted(path.name, "hash", None, None)


def waited(fitting: Fitting, count: int) -> list[tuple[str, Fitted | str]]:
    found: list[tuple[str, Fitted | str]] = []
    end = time.perf_counter() + LIMIT_S
    while len(found) < count and time.perf_counter() < end:
        found += fitting.ready()
        time.sleep(0.001)
    return found


def test_what_is_asked_for_is_ready_in_its_order_and_told_once() -> None:
    fitting = Fitting()
    assert fitting.ready() == []
    for name in ("dusk", "bad", "worse", "dawn"):
        fitting.ask(read, name)
    found = waited(fitting, 4)
    assert [path for path, _ in found] == ["dusk", "bad", "worse", "dawn"]
    assert [one if isinstance(one, str) else one.name for _, one in found] == [
        "dusk",
        "it does not fit",
        "too large",
        "dawn",
    ]
    assert fitting.ready() == []
    fitting.close()
    fitting.close()
