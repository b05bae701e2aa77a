"""Looks again and again at the ISF files of a show, on a thread of its own, and reads those that changed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from vivant.runtime.isf.header import IsfError, Shader, read_shader

LOOK_S: Final = 0.25
WAITING: Final = 64  # changes that nobody took yet; the oldest are forgotten

Stamp = tuple[tuple[int, int], ...]  # when each file changed (ns), and its size


class Watch:
    """`files` by the name of their effect. What changed waits in `news`."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)
        self._stamps = {name: stamp_of(path) for name, path in self._files.items()}
        self.news: deque[tuple[str, Shader | IsfError]] = deque(maxlen=WAITING)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="isf watch", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def look(self) -> None:
        """One look at all files. A file that is away is left alone: an editor may be writing it."""
        for name, path in self._files.items():
            stamp = stamp_of(path)
            if stamp and stamp != self._stamps[name]:
                self._stamps[name] = stamp
                try:
                    self.news.append((name, read_shader(path)))
                except IsfError as error:
                    self.news.append((name, error))

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(1.0)


def stamp_of(path: Path) -> Stamp:
    """What tells one state of a file, and of the .vs beside it, from another; empty while it is away."""
    return tuple(_stamps((path, path.with_suffix(".vs"))))


def _stamps(paths: Iterable[Path]) -> Iterable[tuple[int, int]]:
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        yield found.st_mtime_ns, found.st_size
