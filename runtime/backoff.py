"""How long to wait before a process that died is started again. Imports nothing: who watches stays small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

START_LIMIT_S: Final = 90.0  # compiling a student for the first time takes long; a silent one does not
BACK_OFF_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
HEALTHY_AFTER_S: Final = 30.0  # a process that lived this long starts the back-off anew


class BackOff:
    """Counts the `failures` that came one after the other, and how long to wait after each."""

    def __init__(
        self, waits_s: Sequence[float] = BACK_OFF_S, healthy_after_s: float = HEALTHY_AFTER_S
    ) -> None:
        self._waits_s, self._healthy_after_s = tuple(waits_s), healthy_after_s
        self.failures = 0

    def failed(self, lived_s: float) -> float:
        """A process died after `lived_s`; the seconds to wait before the next one."""
        self.failures = 0 if lived_s > self._healthy_after_s else self.failures
        wait_s = self._waits_s[min(self.failures, len(self._waits_s) - 1)]
        self.failures += 1
        return wait_s
