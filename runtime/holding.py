"""Holds that last are said in the log, with their reason: a screen that stands still has one."""

from __future__ import annotations

import logging
from typing import Final

from vivant.runtime.frames import Verdict

LOG: Final = logging.getLogger("vivant.present")
SAID_AFTER_NS: Final = 1_000_000_000  # shorter ones are for the audit log
AGAIN_NS: Final = 60_000_000_000


class Holding:
    """One thread: the present loop's."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._said_ns: int | None = None

    def hear(self, verdict: Verdict, now_ns: int) -> None:
        """A verdict on a frame."""
        if verdict.admits:
            if self._said_ns is not None and self._since_ns is not None:
                LOG.info("pictures are admitted again, after %.0f s", (now_ns - self._since_ns) / 1e9)
            self._since_ns = self._said_ns = None
            return
        self._since_ns = now_ns if self._since_ns is None else self._since_ns
        due_ns = self._since_ns + SAID_AFTER_NS if self._said_ns is None else self._said_ns + AGAIN_NS
        if now_ns >= due_ns:
            self._said_ns = now_ns
            held_s = (now_ns - self._since_ns) / 1e9
            LOG.warning("every picture has been held for %.0f s: %s", held_s, verdict.reason)
