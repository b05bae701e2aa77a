"""What becomes of judged latents: softening, holding, and that verdicts do not flicker."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.guardrails.acts import (
    DWELL_S,
    LONG_HOLD_S,
    READMIT_S,
    RELEASE_S,
    Acts,
    toward,
)
from vivant.guardrails.guard import Guard
from vivant.runtime.frames import Controls, Judgement, Latent, ManualClock, Verdict

CONTROLS = Controls()
FRAME_S = 1 / 30


def latent(level: float, seed: int = 0, guided: bool = True) -> Latent:
    rng = np.random.default_rng(seed)
    code = (level + rng.standard_normal((1, 4, 8, 8))).astype(np.float32)
    guide = rng.uniform(0.2, 0.8, (1, 1, 32, 32)).astype(np.float32) if guided else None
    return Latent(code, guide)


class Level:
    """Holds a code whose mean is above 1; beyond 3 it is no matter of degree."""

    name = "level"

    def __init__(self, softens: bool = True) -> None:
        self.softens = softens
        self.asked = 0

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        self.asked += 1
        level = float(latent.code.mean())
        if level <= 1.0:
            return Verdict(Judgement.PASS, 0.8, "low")
        return Verdict(Judgement.HOLD, 0.3 if level < 3.0 else 0.0, f"level {level:.2f}")


class Desk:
    """Acts with a policy and a clock that moves one frame at a time."""

    def __init__(self, softens: bool = True) -> None:
        self.clock, self.policy = ManualClock(), Level(softens)
        self.guard = Guard([self.policy], self.clock)
        self.acts = Acts(self.clock)

    def see(self, level: float, frames: int = 1) -> list[tuple[Latent, Verdict]]:
        found = []
        for index in range(frames):
            found.append(self.acts.act(self.guard, latent(level, seed=index), CONTROLS))
            self.clock.advance_s(FRAME_S)
        return found


def judgements(found: list[tuple[Latent, Verdict]]) -> set[Judgement]:
    return {verdict.judgement for _, verdict in found}


def test_what_passes_is_handed_on_untouched() -> None:
    desk, given = Desk(), latent(0.0)
    chosen, verdict = desk.acts.act(desk.guard, given, CONTROLS)
    assert chosen is given
    assert verdict.judgement is Judgement.PASS
    assert desk.policy.asked == 1


def test_a_latent_a_little_too_far_out_is_drawn_back_judged_again_and_shown_as_softened() -> None:
    desk = Desk()
    desk.see(0.0)
    ((chosen, verdict),) = desk.see(1.5)
    assert verdict.judgement is Judgement.SOFTEN
    assert "level 1.5" in verdict.reason
    assert 0.0 < float(chosen.code.mean()) <= 1.0
    given = latent(1.5).code
    assert np.corrcoef(chosen.code.ravel(), given.ravel())[0, 1] > 0.95, "what it shows is the new picture"


def test_it_is_drawn_no_further_than_is_needed() -> None:
    slightly, strongly = Desk(), Desk()
    slightly.see(0.0)
    strongly.see(0.0)
    little, much = slightly.see(1.2)[0][0], strongly.see(2.8)[0][0]
    assert abs(float(little.code.mean()) - 0.6) < 0.2, "half way: a quarter's pull is half of the statistics"
    assert float(much.code.mean()) < 0.2


@pytest.mark.parametrize("reason", ["nothing admitted yet", "too far", "a policy that does not soften"])
def test_what_cannot_be_softened_is_held(reason: str) -> None:
    desk = Desk(softens=reason != "a policy that does not soften")
    if reason != "nothing admitted yet":
        desk.see(0.0)
    found = desk.see(5.0 if reason == "too far" else 1.5, frames=3)
    assert judgements(found) == {Judgement.HOLD}


def test_a_softening_that_the_guard_does_not_admit_is_held() -> None:
    desk = Desk()
    desk.see(0.0)
    desk.policy.judge = lambda latent, controls: Verdict(Judgement.HOLD, 0.4, "nothing will do")  # type: ignore[method-assign]
    assert judgements(desk.see(1.5, frames=5)) == {Judgement.HOLD}


def test_a_latent_that_a_policy_admits_softened_only_is_never_shown_as_it_is() -> None:
    class Soften:
        name, softens = "careful", True

        def judge(self, latent: Latent, controls: Controls) -> Verdict:
            return Verdict(Judgement.SOFTEN, 0.6, "doubtful")

    clock = ManualClock()
    _, verdict = Acts(clock).act(Guard([Soften()], clock), latent(0.0), CONTROLS)
    assert verdict.judgement is Judgement.HOLD


def test_a_softening_dwells_and_then_lets_go_without_a_jump() -> None:
    desk = Desk()
    desk.see(0.0)
    desk.see(1.5)
    still = desk.see(0.5, frames=round(DWELL_S / FRAME_S) - 1)
    assert judgements(still) == {Judgement.SOFTEN}
    after = desk.see(0.5, frames=round(RELEASE_S / FRAME_S) + 3)
    means = [float(chosen.code.mean()) for chosen, _ in after]
    given = [float(latent(0.5, seed=i).code.mean()) for i in range(len(after))]
    shares = [mean / level for mean, level in zip(means, given, strict=True)]
    assert after[-1][1].judgement is Judgement.PASS
    assert shares[-1] == pytest.approx(1.0, abs=1e-5)
    assert max(np.diff(shares)) < 0.2, shares


def test_a_short_hold_is_over_with_the_next_latent_that_passes() -> None:
    desk = Desk()
    desk.see(0.0)
    assert judgements(desk.see(9.0)) == {Judgement.HOLD}
    assert desk.see(0.0)[0][1].judgement is Judgement.PASS


def test_one_spoiled_latent_in_twenty_costs_that_one_alone() -> None:
    desk = Desk()
    desk.see(0.0)
    rng = np.random.default_rng(1)
    spoiled = rng.uniform(size=600) < 0.05
    verdicts = [desk.see(9.0 if bad else 0.0)[0][1] for bad in spoiled]
    assert [v.admits for v in verdicts] == [not bad for bad in spoiled]


def test_a_long_hold_ends_only_when_latents_pass_on_end_and_then_fades_over() -> None:
    desk = Desk()
    old = desk.see(-0.5)[0][0].code.copy()
    desk.see(9.0, frames=round(LONG_HOLD_S / FRAME_S) + 2)
    waiting = desk.see(0.5, frames=round(READMIT_S / FRAME_S) - 1)
    assert judgements(waiting) == {Judgement.HOLD}
    desk.see(9.0)
    assert judgements(desk.see(0.5, frames=round(READMIT_S / FRAME_S) - 1)) == {Judgement.HOLD}
    shown = [one for one in desk.see(0.5, frames=40) if one[1].admits]
    assert np.abs(shown[0][0].code - old).max() < 1e-5, "it begins with the picture that was held"
    means = [float(chosen.code.mean()) for chosen, _ in shown]
    assert max(np.abs(np.diff(means))) < 0.25, "and no step of it is a jump"
    assert shown[-1][1].judgement is Judgement.PASS


def test_verdicts_that_change_all_the_time_become_one_hold() -> None:
    desk = Desk()
    desk.see(0.0)
    desk.see(9.0, frames=round(LONG_HOLD_S / FRAME_S) + 2)
    found = [desk.see(9.0 if index % 4 == 0 else 0.0)[0][1].judgement for index in range(120)]
    assert set(found) == {Judgement.HOLD}


@pytest.mark.parametrize("guided", [True, False])
def test_drawn_all_the_way_it_is_the_anchor_and_not_at_all_itself(guided: bool) -> None:
    one, anchor = latent(1.0, 1, guided), latent(-1.0, 2, guided)
    assert np.allclose(toward(one, anchor, 1.0).code, anchor.code, atol=1e-5)
    assert np.allclose(toward(one, anchor, 0.0).code, one.code, atol=1e-5)
    half = toward(one, anchor, 0.5)
    assert np.allclose(half.code.mean((2, 3)), anchor.code.mean((2, 3)), atol=1e-5)
    assert np.allclose(half.code.std((2, 3)), anchor.code.std((2, 3)), atol=1e-4)
    assert (half.guide is not None) == guided


def test_a_guard_that_breaks_holds() -> None:
    class Broken:
        name = "broken"

        def judge(self, latent: Latent, controls: Controls) -> Verdict:
            raise RuntimeError("the policy broke")

    clock = ManualClock()
    _, verdict = Acts(clock).act(Guard([Broken()], clock), latent(0.0), CONTROLS)
    assert verdict.judgement is Judgement.HOLD
    assert "broke" in verdict.reason
