"""In the present process: pictures are shown, the critic sees every n-th, and what it finds holds after all.

It fails closed, as everything that judges. Until its first word nothing is shown. An error, an answer that is
late, a process that ended: a hold, until pictures have passed for CALM_S on end. A hold takes back what is on
the screen: the last picture that passed comes in its place, or black where none did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np

from vivant.guardrails.critic import Finding
from vivant.runtime.critic_process import Word
from vivant.runtime.frames import EMPTY, U8, Judgement, Picture, Value, Verdict
from vivant.runtime.meters import Histogram, Window

LOG: Final = logging.getLogger("vivant.critic")
CALM_S: Final = 1.0
STANDING_S: Final = 0.3  # a picture that stands for so long is looked at, though it is not the n-th
LOST_AFTER: Final = 5.0  # times the limit, and LOST_S at least: then it is ended, and another one started
LOST_S: Final = 10.0
RECENT: Final = 60  # answers
NOT_YET: Final = "it has not looked yet"
NO_PIXELS: Final[U8] = np.empty((0, 0, 4), np.uint8)


class Looking(Protocol):
    """Where pictures are looked at, one at a time (CriticProcess)."""

    restarts: int

    def ask(self, pixels: U8) -> bool: ...
    def said(self) -> list[Word]: ...
    def give_up(self) -> None: ...


@dataclass(slots=True)
class Tally:
    """`latency`: from the moment a picture came to the critic's word on it. `unseen_ms` is the longest that
    pictures were shown without a word on one as new."""

    latency: Histogram = field(default_factory=Histogram)
    recent: Window = field(default_factory=lambda: Window(RECENT))
    looked: int = 0
    forbidden: int = 0
    errors: int = 0
    timeouts: int = 0
    holds: int = 0
    held: int = 0  # pictures
    unseen_ms: float = 0.0


class Criticism:
    """One thread: the present loop's. It is asked at every refresh."""

    def __init__(self, process: Looking, every: int, limit_s: float) -> None:
        self._process, self._every, self._limit_s = process, every, limit_s
        self.tally = Tally()
        self.found: Callable[[U8, Finding, int], None] | None = None
        """Told of each forbidden picture, what was found, and when; it must not wait."""
        self.took_back = False
        """Whether what `judged` gave last comes in the place of what is on the screen."""
        self._count = 0
        self._asked: tuple[U8, int] | None = None  # the picture, and when it came
        self._late = False
        self._standing: tuple[U8, int] | None = None  # what is on the screen, not looked at, and since when
        self._passed: U8 | None = None  # the last picture that it let pass
        self._since_ns: int | None = None  # pictures are shown, none of them looked at, since
        self._reason, self._score = NOT_YET, 0.0  # of the hold; empty while there is none
        self._calm_ns: int | None = None
        self._take_back = False
        self._newest: Picture | None = None

    @property
    def holding(self) -> str:
        """Why it holds; empty while it does not."""
        return self._reason

    def judged(self, picture: Picture | None, now_ns: int) -> Picture | None:
        """What the lane brought, or nothing: the same where the critic holds nothing against it; else without
        pixels, as a HOLD; or what comes in the place of what is on the screen."""
        self.took_back = False
        self._hear(now_ns)
        if picture is None:
            self._look_at_standing(now_ns)
        else:
            self._newest = picture
            if picture.verdict.admits:
                self._offer(picture, now_ns)
        if self._take_back and self._newest is not None:
            self._take_back, self.took_back = False, True
            return self._replacement(self._newest, now_ns)
        if picture is None or not picture.verdict.admits:
            return picture
        if not self._reason:
            self._since_ns = now_ns if self._since_ns is None else self._since_ns
            return picture
        self.tally.held += 1
        verdict = Verdict(Judgement.HOLD, self._score, f"critic: {self._reason}")
        return replace(picture, pixels=NO_PIXELS, verdict=verdict, source=None)

    def counts(self) -> dict[str, Any]:
        """For the report."""
        tally = self.tally
        return {
            "looked": tally.looked,
            "forbidden": tally.forbidden,
            "errors": tally.errors,
            "timeouts": tally.timeouts,
            "restarts": self._process.restarts,
            "holds": tally.holds,
            "held": tally.held,
            "latency": tally.latency.snapshot(),
            "longest_unseen_ms": tally.unseen_ms,
        }

    def status(self) -> dict[str, Value]:
        """What subscribers are told, by name below /vivant/status/."""
        latency_ms = self.tally.recent.percentile(95)
        return {"critic": int(bool(self._reason)), "critic_ms": 0.0 if latency_ms is None else latency_ms}

    def _hear(self, now_ns: int) -> None:
        for word in self._process.said():
            asked, self._asked = self._asked, None
            if word.finding is None:
                self.tally.errors += 1
                self._hold(word.problem, 0.0)
                continue
            if asked is None:
                continue
            pixels, came_ns = asked
            self._spoke(now_ns, came_ns)
            finding = word.finding
            if finding.forbidden:
                self.tally.forbidden += 1
                if self.found is not None:
                    self.found(pixels, finding, now_ns)
                self._hold(
                    f"{finding.label} {finding.score:.2f}, of {finding.threshold:g}", 1 - finding.score
                )
            else:
                self._pass(pixels, now_ns)
        self._miss(now_ns)

    def _miss(self, now_ns: int) -> None:
        """An answer that is late holds; one that does not come ends who should give it."""
        if self._asked is None:
            return
        waited_s = (now_ns - self._asked[1]) / 1e9
        if waited_s > self._limit_s and not self._late:
            self._late = True
            self.tally.timeouts += 1
            self._hold(f"no answer in {self._limit_s:g} s", 0.0)
        if waited_s > max(LOST_AFTER * self._limit_s, LOST_S):
            self._asked = None
            self._process.give_up()

    def _spoke(self, now_ns: int, came_ns: int) -> None:
        tally, self._late = self.tally, False
        tally.looked += 1
        tally.latency.add((now_ns - came_ns) / 1e6)
        tally.recent.add((now_ns - came_ns) / 1e6)
        if self._since_ns is not None:
            tally.unseen_ms = max(tally.unseen_ms, (now_ns - self._since_ns) / 1e6)
            self._since_ns = None if self._reason or self._standing is None else came_ns

    def _pass(self, pixels: U8, now_ns: int) -> None:
        first, self._passed = self._passed is None, pixels
        if not self._reason:
            return
        self._calm_ns = now_ns if self._calm_ns is None else self._calm_ns
        if now_ns - self._calm_ns >= CALM_S * 1e9 or (first and self._reason == NOT_YET):
            LOG.info("the critic lets pictures pass")
            self._reason, self._calm_ns = "", None

    def _hold(self, reason: str, score: float) -> None:
        self._calm_ns = None
        if not self._reason or self._reason == NOT_YET:
            self.tally.holds += 1
            LOG.warning("the critic holds: %s", reason)
            self._take_back = not self._reason
        self._reason, self._score = reason, score
        self._since_ns = self._standing = None

    def _look_at_standing(self, now_ns: int) -> None:
        """No new picture came: what stands on the screen is looked at, if it was not."""
        if self._standing is None or self._asked is not None:
            return
        pixels, came_ns = self._standing
        if now_ns - came_ns >= STANDING_S * 1e9 and self._process.ask(pixels):
            self._asked, self._standing = self._standing, None

    def _offer(self, picture: Picture, now_ns: int) -> None:
        self._count += 1
        due = bool(self._reason) or self._count % self._every == 0
        if due and self._asked is None and self._process.ask(picture.pixels):
            self._asked, self._standing = (picture.pixels, now_ns), None
        else:
            self._standing = picture.pixels, now_ns

    def _replacement(self, newest: Picture, now_ns: int) -> Picture:
        """The last picture that passed, or black; of the newest one's counts."""
        shown = self._passed
        if shown is None:
            shown = np.zeros_like(newest.pixels) if newest.pixels.size else np.zeros((32, 32, 4), np.uint8)
        verdict = Verdict(Judgement.SOFTEN, self._score, f"taken back by the critic: {self._reason}")
        return replace(
            newest, pixels=shown, verdict=verdict, captured_ns=now_ns, rendered_ns=now_ns, timings_ms=EMPTY,
            source=None,
        )  # fmt: skip
