"""What becomes of a latent once it is judged: shown, drawn toward what was admitted, or held.

A latent that is only a little too far out is drawn toward the last one that passed, as little as is needed:
first its statistics (every channel's mean and deviation), which keeps what moves moving, then its values.
What comes of it is judged again, and shown only if it passes. Verdicts do not flicker: a softening stays for
DWELL_S and then lets go over RELEASE_S, and a hold that lasted ends only when latents have passed for
READMIT_S on end.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vivant.guardrails.guard import Guard
from vivant.runtime.frames import F32, Clock, Controls, Judgement, Latent, Verdict

PULLS: Final = (0.25, 0.5, 0.75, 0.9)  # how far a latent is drawn, tried from the least
TRIES: Final = 3  # a frame: each costs a judgement
ASKED: Final = TRIES + 2  # numbers that a device is given (Acts.asks)
DWELL_S: Final = 1.0
RELEASE_S: Final = 0.7
LONG_HOLD_S: Final = 0.3  # a shorter one is a stumble: the next latent that passes is shown
READMIT_S: Final = 0.3
HALF: Final = 0.5  # of a pull is of statistics alone


class Acts:
    """For one size of latent. One thread. What it gives may be its own, valid until the next call.

    `act` does it all where the guard judges on the processor. Where a device draws and judges (DeviceGuard),
    `asks` says before a frame what to try, `told` hears what became of it, and `again` says what is shown."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor: Latent | None = None
        self._anchored = False  # here, or on the device
        self._renew = False
        self._pull = 0.0
        self._moved_ns = 0  # when the pull was last let go of a little
        self._let_go_ns = 0  # from when on it is let go
        self._held_ns: int | None = None  # since when nothing was admitted
        self._passing_ns: int | None = None  # since when latents have passed after a long hold

    def act(self, guard: Guard, latent: Latent, controls: Controls) -> tuple[Latent, Verdict]:
        """The latent to decode and what is said of it: PASS, SOFTEN for one that was changed and passed, else
        HOLD or BLANK. Only a latent whose own judgement is PASS is ever admitted. Never raises."""
        raw = guard.judge(latent, controls)
        near = guard.near or raw.judgement is Judgement.SOFTEN
        if raw.judgement is Judgement.PASS:
            chosen, verdict = self._passed(guard, latent, raw, controls)
        elif near and self._anchor is not None:
            chosen, verdict = self._softened(guard, latent, raw, controls)
        else:
            chosen, verdict = latent, _closed(raw)
        released = self._pull
        verdict = self.steady(verdict)
        if self._pull > released:  # a long hold has just ended: from the last picture to the new ones
            chosen, verdict = self._passed(guard, latent, raw, controls)
        if verdict.admits and self._pull <= 0.0:
            self._anchor, self._anchored = _copied(latent, self._anchor), True
        return chosen, verdict

    def asks(self) -> F32:
        """For the next frame on a device, f32 (5,): TRIES pulls; whether a latent that passes is to be let go
        of by the first of them all the same (1) or shown as it is (0); whether it is to be drawn to from then
        on."""
        self._let_go()
        gently, self._renew = self._pull > 0.0, self._pull <= 0.0 and self._held_ns is None
        return np.array([*self._pulls(), gently, self._renew], np.float32)

    def told(self, verdict: Verdict, near: bool, which: int) -> Verdict:
        """The verdict on a frame that a device judged by `asks`, `which` of its latents it took (0 as it is)
        and whether this one is `near` enough to be softened: as PASS, SOFTEN or HOLD, for `again`."""
        pulls = self._pulls()
        if near:
            self._let_go_ns = self._moved_ns = self._clock.now_ns() + round(DWELL_S * 1e9)
            self._pull = pulls[which - 1] if which else min(pulls[-1], PULLS[-1])
        if verdict.judgement is Judgement.SOFTEN:
            pull = pulls[which - 1]
            words = (
                f"softened by {pull:.0%}: {verdict.reason}" if near else f"let go of gently: {pull:.0%} left"
            )
            verdict = Verdict(Judgement.SOFTEN, verdict.score, words)
        elif verdict.judgement is Judgement.PASS:
            self._anchored, self._pull = self._anchored or self._renew, 0.0
        return verdict

    def again(self, verdict: Verdict) -> Verdict:
        """What is to be shown of a picture that was `told` of, now or once more."""
        released = self._pull
        verdict = self.steady(verdict)
        if self._pull > released:  # a long hold has just ended, and the device drew nothing this time
            return Verdict(
                Judgement.HOLD, verdict.score, "passes again, and comes gently from the next frame on"
            )
        return verdict

    def _pulls(self) -> list[float]:
        """TRIES of them, the one that holds now before those that are stronger."""
        pulls = [self._pull, *(pull for pull in PULLS if pull > self._pull)] if self._pull else list(PULLS)
        return (pulls + pulls[-1:] * TRIES)[:TRIES]

    def steady(self, verdict: Verdict) -> Verdict:
        """The verdict, or a HOLD while a long hold is not over for good."""
        now_ns = self._clock.now_ns()
        if not verdict.admits:
            self._held_ns = now_ns if self._held_ns is None else self._held_ns
            self._passing_ns = None
            return verdict
        if self._held_ns is None:
            return verdict
        if self._passing_ns is None:
            self._passing_ns = now_ns
        long = self._passing_ns - self._held_ns >= LONG_HOLD_S * 1e9
        if long and now_ns - self._passing_ns < READMIT_S * 1e9:
            return Verdict(Judgement.HOLD, verdict.score, f"passes again, but not yet for {READMIT_S:g} s")
        self._held_ns = self._passing_ns = None
        if long and self._anchored:
            self._pull, self._let_go_ns, self._moved_ns = 1.0, now_ns, now_ns
        return verdict

    def _passed(
        self, guard: Guard, latent: Latent, raw: Verdict, controls: Controls
    ) -> tuple[Latent, Verdict]:
        self._let_go()
        if self._pull <= 0.0 or self._anchor is None:
            return latent, raw
        drawn = toward(latent, self._anchor, self._pull)
        if guard.judge(drawn, controls).judgement is not Judgement.PASS:
            self._pull = 0.0
            return latent, raw
        return drawn, Verdict(Judgement.SOFTEN, raw.score, f"let go of gently: {self._pull:.0%} left")

    def _softened(
        self, guard: Guard, latent: Latent, raw: Verdict, controls: Controls
    ) -> tuple[Latent, Verdict]:
        assert self._anchor is not None
        self._let_go_ns = self._moved_ns = self._clock.now_ns() + round(DWELL_S * 1e9)
        for pull in dict.fromkeys(self._pulls()):
            drawn = toward(latent, self._anchor, pull)
            verdict = guard.judge(drawn, controls)
            if verdict.judgement is Judgement.PASS:
                self._pull = pull
                return drawn, Verdict(
                    Judgement.SOFTEN, verdict.score, f"softened by {pull:.0%}: {raw.reason}"
                )
            self._pull = min(pull, PULLS[-1])
        return latent, _closed(raw)

    def _let_go(self) -> None:
        now_ns = self._clock.now_ns()
        if self._pull > 0.0 and now_ns > self._let_go_ns:
            since_ns = max(self._let_go_ns, self._moved_ns)
            self._pull = max(0.0, self._pull - (now_ns - since_ns) / (RELEASE_S * 1e9))
            self._moved_ns = now_ns


def toward(latent: Latent, anchor: Latent, pull: float) -> Latent:
    """`latent` drawn toward `anchor` by `pull` in [0, 1]: up to a half its channels' means and deviations go
    to the anchor's, beyond that its values too; at 1 it is the anchor. New arrays."""
    statistics, values = min(1.0, pull / HALF), max(0.0, pull / HALF - 1.0)
    code = _drawn(latent.code, anchor.code, statistics, values)
    guide = None
    if latent.guide is not None and anchor.guide is not None:
        guide = np.clip(_drawn(latent.guide, anchor.guide, statistics, values), 0.0, 1.0)
    return Latent(code, guide, latent.sigma, latent.scaled)


def _drawn(x: F32, anchor: F32, statistics: float, values: float) -> F32:
    axes = (2, 3)
    mean, deviation = x.mean(axes, keepdims=True), x.std(axes, keepdims=True)
    like = anchor.std(axes, keepdims=True) / np.maximum(deviation, 1e-6)
    moved = (x - mean) * (1.0 + statistics * (like - 1.0)) + mean
    moved += statistics * (anchor.mean(axes, keepdims=True) - mean)
    return np.asarray(moved * (1.0 - values) + values * anchor, np.float32)


def _copied(latent: Latent, into: Latent | None) -> Latent:
    """A copy of a latent, in the arrays of `into` where they fit."""
    if into is None or into.code.shape != latent.code.shape or (into.guide is None) != (latent.guide is None):
        return Latent(
            latent.code.copy(),
            None if latent.guide is None else latent.guide.copy(),
            latent.sigma,
            latent.scaled,
        )
    np.copyto(into.code, latent.code)
    if into.guide is not None and latent.guide is not None:
        np.copyto(into.guide, latent.guide)
    return into


def _closed(raw: Verdict) -> Verdict:
    """A verdict that nothing was done about: what was only admissible softened is held."""
    if raw.judgement is Judgement.SOFTEN:
        return Verdict(Judgement.HOLD, raw.score, raw.reason)
    return raw
