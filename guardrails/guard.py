"""The guard: a list of policies, of which the worst judgement wins. It fails closed and never raises."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from vivant.guardrails.coherence import policies_of
from vivant.guardrails.envelope import Envelope, GuardFileError, fitted_of, read_arrays
from vivant.guardrails.guard_file import GuardFile
from vivant.guardrails.policy import Policy, Sized
from vivant.guardrails.sanity import Sanity
from vivant.runtime.frames import Clock, Controls, Judgement, Latent, MonotonicClock, Verdict

log = logging.getLogger(__name__)

LIMIT_MS = 30.0  # a whole frame's budget. Judging takes under 1 ms; two busy cores have delayed it by over 10
NEAR = 0.05  # a score that is less is no matter of degree: such a latent is held, not softened
BADNESS = {Judgement.PASS: 0, Judgement.SOFTEN: 1, Judgement.HOLD: 2, Judgement.BLANK: 3}


class Guard:
    """One thread may use it. An exception, a NaN score, a time-out or a missing file is a HOLD.

    A time-out is noticed when the policies are done, not before: they run on the caller's thread.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        clock: Clock | None = None,
        limit_ms: float = LIMIT_MS,
        closed: str = "",
    ) -> None:
        self.closed = closed
        """Why every verdict is a HOLD; empty for a guard that judges."""
        self.near = False
        """Whether what was judged last was held for being a little too far out, by policies whose limit is a
        matter of degree alone; drawn toward what was admitted, it may pass."""
        self._policies = tuple(policies)
        self._soft = frozenset(policy.name for policy in policies if getattr(policy, "softens", False))
        self._clock = clock or MonotonicClock()
        self._limit_ns = round(limit_ms * 1e6)
        self._shape: tuple[int, ...] | None = None  # of what was judged last
        kinds = (*(judgement.name.lower() for judgement in Judgement), "error")
        self._counts = {f"{policy.name}.{kind}": 0 for policy in self._policies for kind in kinds}
        self._counts |= {"guard.timeout": 0, "guard.closed": 0}

    @classmethod
    def load(
        cls,
        path: Path,
        sha256: str,
        clock: Clock | None = None,
        limit_ms: float = LIMIT_MS,
        more: Sequence[Policy | GuardFile] = (),
        student: str = "",
    ) -> Guard:
        """The guard of a student (Student.guard_file) of hash `student`, with `more` policies, or files of
        such, after it. Never raises: when a file is missing, not the one that is meant or fitted to another
        student, the guard is `closed`, and the log says why."""
        try:
            kept = read_arrays(path, sha256)
            own: list[Policy] = [Sanity(), Envelope(fitted_of(kept, path)), *policies_of(kept)]
            added = [one.load(student) if isinstance(one, GuardFile) else one for one in more]
            return cls([*own, *added], clock, limit_ms)
        except GuardFileError as error:
            log.error("the guard is closed, nothing will be shown: %s", error)
            return cls([], clock, limit_ms, closed=str(error))
        except Exception as error:  # whatever a file makes its policy do, it must not admit
            log.exception("the guard is closed, nothing will be shown")
            return cls([], clock, limit_ms, closed=f"{type(error).__name__}: {error}")

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        """The worst verdict of the policies; a HOLD where there is any doubt."""
        self.near = False
        if self.closed or not self._policies:
            self._counts["guard.closed"] += 1
            return Verdict(Judgement.HOLD, 0.0, self.closed or "the guard has no policy")
        self._get_ready(latent)
        start_ns = self._clock.now_ns()
        verdicts = [self._ask(policy, latent, controls) for policy in self._policies]
        worst = max(verdicts, key=lambda verdict: (BADNESS[verdict.judgement], -verdict.score))
        refusing = {
            policy.name
            for policy, verdict in zip(self._policies, verdicts, strict=True)
            if verdict.judgement is not Judgement.PASS
        }
        took_ns = self._clock.now_ns() - start_ns
        if took_ns > self._limit_ns:
            self._counts["guard.timeout"] += 1
            if worst.judgement is not Judgement.BLANK:
                return Verdict(Judgement.HOLD, 0.0, f"judging took {took_ns / 1e6:.1f} ms")
        self.near = worst.score >= NEAR and bool(refusing) and refusing <= self._soft
        return worst

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each policy judged what, by "policy.judgement", since the start; also
        "policy.error", "guard.timeout" and "guard.closed"."""
        return self._counts

    def _get_ready(self, latent: Latent) -> None:
        """Once a size: what a policy compiles for it is no judging, and takes longer than any."""
        shape = getattr(getattr(latent, "code", None), "shape", None)
        if shape == self._shape:
            return
        self._shape = shape
        for policy in self._policies:
            if isinstance(policy, Sized):
                try:
                    policy.prepare(latent)
                except Exception:  # it judges all the same, and fails closed
                    log.exception("%s could not get ready for latents %s", policy.name, shape)

    def _ask(self, policy: Policy, latent: Latent, controls: Controls) -> Verdict:
        try:
            verdict = policy.judge(latent, controls)
            sound = (
                isinstance(verdict, Verdict) and 0.0 <= verdict.score <= 1.0 and verdict.judgement in BADNESS
            )
            doubt = "" if sound else f"{policy.name} gave no sound verdict: {verdict!r}"
        # The one broad except of the picture's path: whatever goes wrong in judging must not admit.
        except Exception as error:
            doubt = f"{policy.name}: {type(error).__name__}: {error}"
        if doubt:
            self._counts[f"{policy.name}.error"] += 1
            return Verdict(Judgement.HOLD, 0.0, doubt)
        self._counts[f"{policy.name}.{verdict.judgement.name.lower()}"] += 1
        return verdict
