"""What every policy of the guard promises."""

from __future__ import annotations

from typing import Protocol

from vivant.runtime.frames import Controls, Latent, Verdict


class Policy(Protocol):
    """Judges a latent before it is decoded. It may raise; the guard turns that into a HOLD."""

    name: str

    def judge(self, latent: Latent, controls: Controls) -> Verdict: ...
