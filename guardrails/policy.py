"""What every policy of the guard promises."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from vivant.runtime.frames import Controls, Latent, Verdict


class Policy(Protocol):
    """Judges a latent before it is decoded. It may raise; the guard turns that into a HOLD.

    One that has `softens = True` draws a line through a matter of degree: what it holds, and scores above
    vivant.guardrails.guard.NEAR, may be shown once it is drawn back across that line. Without the word a
    policy's HOLD is final.
    """

    name: str

    def judge(self, latent: Latent, controls: Controls) -> Verdict: ...


@runtime_checkable
class Sized(Protocol):
    """A policy that gets ready for latents of one size, before the first of them is judged and timed."""

    name: str

    def prepare(self, latent: Latent) -> None: ...
