"""The audit log: what a show did that somebody may ask about later, a JSON object a line, only appended to.

One file for each day (and another part when it grows large); the oldest are deleted when there are too many.
Lines are written by a thread of their own, so that no disk ever delays a refresh. Pictures lie beside it,
small, and only where the scene asks for them.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from vivant.runtime.frames import U8, VivantError

LOG = logging.getLogger("vivant.audit")
SUFFIX: Final = ".jsonl"
LARGEST_FILE: Final = 16_000_000  # bytes; then the day's next part is begun
MOST_FILES: Final = 400  # a year and a bit
MOST_WAITING: Final = 10_000  # lines; more are dropped and counted
PICTURES: Final = "pictures"
MOST_PICTURES: Final = 2_000
MOST_PICTURES_WAITING: Final = 8
PICTURE_PX: Final = 192  # the longer side
TELL_AGAIN_S: Final = 60.0  # a disk that is full is told of once a minute
CLOSE_S: Final = 5.0

Kept = Literal["off", "painted", "input"]
"""Which pictures lie beside the log: none; those that were painted (softened ones, and what the critic took
back); or besides, for latents that were held and so never painted, what the student was given: the camera's
picture, people and all."""
Line = dict[str, Any]


def audit_folder() -> Path:
    """Where audit logs lie unless a scene says otherwise."""
    import platformdirs

    return Path(platformdirs.user_log_dir("vivant")) / "audit"


class Audit:
    """Writes lines under `folder`. `note` may be called by any thread, never waits and never raises."""

    def __init__(
        self,
        folder: Path,
        scene: str,
        wall_s: Callable[[], float] = time.time,
        largest_file: int = LARGEST_FILE,
        most_files: int = MOST_FILES,
        most_pictures: int = MOST_PICTURES,
    ) -> None:
        """Raises VivantError when nothing can be written there."""
        self.folder, self.scene, self._wall_s = folder, scene, wall_s
        self._largest, self._most, self._most_pictures = largest_file, most_files, most_pictures
        self._waiting: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._pictures: queue.SimpleQueue[tuple[Path, U8]] = queue.SimpleQueue()
        self._told_s = 0.0
        self.written = self.dropped = self.failed = self.pictures = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._file(datetime.fromtimestamp(wall_s())).open("ab"):
                pass
        except OSError as error:
            raise VivantError(
                f"the audit log cannot be written in {folder}: {error.strerror}. Name another folder in the "
                'scene: audit = "FOLDER"'
            ) from error
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    def note(self, what: str, pixels: U8 | None = None, **facts: Any) -> None:
        """One line: the time, the scene, `what` happened, `facts` that JSON can hold, and a picture u8
        (H, W, 3 or 4) that is kept small beside it. Of many at a time the later ones are left out."""
        if self._waiting.qsize() >= MOST_WAITING:
            self.dropped += 1
            return
        wall_s = self._wall_s()
        moment = datetime.fromtimestamp(wall_s).astimezone()
        if pixels is not None and pixels.size and self._pictures.qsize() < MOST_PICTURES_WAITING:
            name = f"{moment:%Y-%m-%d/%H%M%S}-{moment.microsecond // 1000:03d}-{what}.jpg"
            self._pictures.put((self.folder / PICTURES / name, pixels))
            facts["picture"] = f"{PICTURES}/{name}"
        at = moment.isoformat(timespec="milliseconds")
        self._waiting.put(
            {"time": at, "wall_s": round(wall_s, 3), "scene": self.scene, "what": what, **facts}
        )

    def counts(self) -> dict[str, int]:
        """Lines `written`, `dropped` because too many waited, and `failed` because the disk refused them; and
        `pictures` kept beside them."""
        return {
            "written": self.written, "dropped": self.dropped, "failed": self.failed,
            "pictures": self.pictures,
        }  # fmt: skip

    def close(self) -> None:
        """Write what waits and end the thread. Calling it again does nothing."""
        self._waiting.put(None)
        self._thread.join(CLOSE_S)

    def _write_all(self) -> None:
        while True:
            lines, ended = self._gather()
            if lines:
                self._attempt(len(lines), partial(self._write, lines))
            if not self._pictures.empty():
                self._attempt(0, self._write_pictures)
            if ended:
                return

    def _gather(self) -> tuple[list[Line], bool]:
        """All that waits, at least one; whether that was the end."""
        taken = [self._waiting.get()]
        while not self._waiting.empty():
            taken.append(self._waiting.get())
        return [line for line in taken if line is not None], None in taken

    def _attempt(self, lines: int, write: Callable[[], None]) -> None:
        """Whatever the disk says to it: it is counted, and told of now and then."""
        try:
            write()
        except (OSError, ValueError, TypeError) as error:
            self.failed += max(lines, 1)
            if time.monotonic() - self._told_s > TELL_AGAIN_S:
                self._told_s = time.monotonic()
                LOG.error("%d lines could not be written to the audit log: %s", self.failed, error)

    def _write(self, lines: list[Line]) -> None:
        by_day: dict[str, list[Line]] = {}
        for line in lines:
            by_day.setdefault(str(line["time"])[:10], []).append(line)
        for day, of_day in by_day.items():
            text = "".join(json.dumps(line, default=str, ensure_ascii=False) + "\n" for line in of_day)
            with self._file(datetime.fromisoformat(day)).open("ab") as file:
                file.write(text.encode("utf-8", "replace"))
        self.written += len(lines)
        _keep_newest(files_in(self.folder), self._most)

    def _write_pictures(self) -> None:
        while not self._pictures.empty():
            path, pixels = self._pictures.get()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(small_jpeg(pixels))
            self.pictures += 1
        kept = sorted((self.folder / PICTURES).glob("*/*.jpg"))
        _keep_newest(kept, self._most_pictures)
        for folder in {path.parent for path in kept[: max(0, len(kept) - self._most_pictures)]}:
            if not any(folder.iterdir()):
                folder.rmdir()

    def _file(self, day: datetime) -> Path:
        """The part of a day that is not too large yet."""
        part = 1
        while True:
            name = f"{day:%Y-%m-%d}" + ("" if part == 1 else f".{part}") + SUFFIX
            path = self.folder / name
            if not path.exists() or path.stat().st_size < self._largest:
                return path
            part += 1


def _keep_newest(files: list[Path], most: int) -> None:
    """`files` from the oldest to the newest; those too many are deleted."""
    for path in files[: max(0, len(files) - most)]:
        path.unlink(missing_ok=True)


def small_jpeg(pixels: U8) -> bytes:
    """A picture u8 (H, W, 3 or 4) as a JPEG of at most PICTURE_PX a side. Raises ValueError."""
    import cv2

    height, width = pixels.shape[:2]
    share = min(1.0, PICTURE_PX / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    bgr = np.ascontiguousarray(pixels[..., 2::-1])
    fine, data = cv2.imencode(".jpg", cv2.resize(bgr, size, interpolation=cv2.INTER_AREA))
    if not fine:
        raise ValueError(f"{pixels.dtype} {pixels.shape} cannot be written as JPEG")
    return bytes(data)


def files_in(folder: Path) -> list[Path]:
    """The files of an audit folder, oldest first."""

    def place(path: Path) -> tuple[str, int]:
        day, _, part = path.stem.partition(".")
        return day, int(part) if part.isdecimal() else 1

    return sorted(folder.glob(f"[0-9][0-9][0-9][0-9]-*{SUFFIX}"), key=place)


def read_day(folder: Path, day: datetime) -> tuple[list[Line], int]:
    """The lines of a day in their order, and how many could not be read (a machine that lost power leaves
    half a line). Raises VivantError when there is no log of that day."""
    files = [path for path in files_in(folder) if path.name.startswith(f"{day:%Y-%m-%d}")]
    if not files:
        days = sorted({path.name[:10] for path in files_in(folder)})
        there = f"there are logs from {days[0]} to {days[-1]}" if days else "there is no log at all"
        raise VivantError(f"no audit log of {day:%Y-%m-%d} in {folder}: {there}")
    lines, broken = [], 0
    for path in files:
        for text in path.read_text("utf-8", "replace").splitlines():
            try:
                line = json.loads(text)
                lines.append({"wall_s": float(line["wall_s"]), "what": str(line["what"]), **line})
            except (ValueError, KeyError, TypeError):
                broken += 1
    return lines, broken
