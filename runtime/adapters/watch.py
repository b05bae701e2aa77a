"""Notices adapter files that are new or changed, by looking at folders again and again.

Notification by the system (inotify and the like) tells nothing of what another machine writes to a network
share, which is where a house keeps its files; a look at some dozen names every quarter of a second costs
nothing. What is still being copied is left alone until it is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from vivant.engines.adapter_file import is_whole
from vivant.runtime.adapters.found import files_in

PATIENCE_NS: Final = 3_000_000_000  # a file that stood still for so long and is not whole will not be

Stamp = tuple[int, int]  # when it changed (ns), and its size


class Watch:
    """`folders` are looked through, `files` looked at by name. One thread."""

    def __init__(self, folders: Sequence[Path], files: Iterable[Path] = ()) -> None:
        self._folders, self._files = tuple(folders), tuple(files)
        self._told: dict[Path, Stamp] = {}
        self._waiting: dict[Path, tuple[Stamp, int]] = {}  # and since when it stands so
        self._away: set[Path] = set()

    def look(self, now_ns: int) -> list[Path]:
        """What is new or changed since the last look, and whole; also what stays broken."""
        fresh = []
        there = dict.fromkeys((*self._files, *(path for one in self._folders for path in files_in(one))))
        for path in there:
            stamp = _stamp(path)
            if stamp is not None and stamp != self._told.get(path) and self._ripe(path, stamp, now_ns):
                self._told[path] = stamp
                fresh.append(path)
        for gone in [path for path in self._told if path not in there]:
            del self._told[gone]  # it may come back
        return fresh

    def moved(self) -> list[tuple[Path, bool]]:
        """Folders that went away since the last look, and that came back (True)."""
        found = []
        for folder in self._folders:
            there = _stamp(folder) is not None
            if there == (folder in self._away):
                self._away ^= {folder}
                found.append((folder, there))
        return found

    def _ripe(self, path: Path, stamp: Stamp, now_ns: int) -> bool:
        if is_whole(path):
            self._waiting.pop(path, None)
            return True
        since = self._waiting.get(path)
        if since is None or since[0] != stamp:
            self._waiting[path] = (stamp, now_ns)
            return False
        return now_ns - since[1] >= PATIENCE_NS


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
