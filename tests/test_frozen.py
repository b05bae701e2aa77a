"""A student that has stopped is noticed; a still room is not."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.engines.diffusion.wishes import SKIP
from vivant.guardrails.frozen import FROZEN_S, Frozen
from vivant.runtime.frames import Controls, Judgement, Latent, ManualClock

RNG = np.random.default_rng(0)
CODE = RNG.standard_normal((1, 4, 8, 8)).astype(np.float32)
GUIDE = RNG.uniform(size=(1, 1, 32, 32)).astype(np.float32)


def room(position: int, noise: float = 0.0) -> np.ndarray:
    frame = np.full((96, 96, 3), 90.0)
    frame[20:60, position % 70 : position % 70 + 20] = 220
    return np.clip(frame + RNG.normal(0, noise, frame.shape), 0, 255).astype(np.uint8)


def watch(seconds: float, moving: bool, frozen: bool, controls: Controls | None = None) -> list[Judgement]:
    clock = ManualClock()
    policy, found = Frozen(clock), []
    for frame in range(round(seconds * 30)):
        policy.see(room(frame * 3 if moving else 5, noise=3.0))
        code = CODE if frozen else CODE + frame
        found.append(policy.judge(Latent(code.copy(), GUIDE.copy()), controls or Controls()).judgement)
        clock.advance_s(1 / 30)
    return found


def test_the_same_latent_again_and_again_while_somebody_walks_by_is_held() -> None:
    found = watch(4.0, moving=True, frozen=True)
    first = found.index(Judgement.HOLD)
    assert first / 30 == pytest.approx(FROZEN_S, abs=0.1)
    assert set(found[first:]) == {Judgement.HOLD}


@pytest.mark.parametrize(
    ("moving", "frozen", "controls"),
    [
        (False, True, None),
        (True, False, None),
        (False, False, None),
        (True, True, Controls(numbers={SKIP: 0.2})),
    ],
    ids=["a still room", "a student that paints", "noise alone", "frames left out on purpose"],
)
def test_what_is_no_fault_passes(moving: bool, frozen: bool, controls: Controls | None) -> None:
    assert set(watch(4.0, moving, frozen, controls)) == {Judgement.PASS}


def test_it_passes_again_with_the_first_latent_that_is_another() -> None:
    clock = ManualClock()
    policy = Frozen(clock)
    for frame in range(90):
        policy.see(room(frame * 3))
        verdict = policy.judge(Latent(CODE, GUIDE), Controls())
        clock.advance_s(1 / 30)
    assert verdict.judgement is Judgement.HOLD
    assert policy.judge(Latent(CODE + 1, GUIDE), Controls()).judgement is Judgement.PASS


@pytest.mark.parametrize("part", ["code", "guide"])
def test_a_part_that_moves_is_enough(part: str) -> None:
    """A latent that differs in two rows of places alone; whatever an encoder sees move spreads over more."""
    clock = ManualClock()
    policy, found = Frozen(clock), []
    for frame in range(90):
        policy.see(room(frame * 3))
        code, guide = CODE.copy(), GUIDE.copy()
        if part == "code":
            code[0, :, 3:5, 2] += frame
        else:
            guide[0, 0, 12:20, 9] = frame / 90
        found.append(policy.judge(Latent(code, guide), Controls()).judgement)
        clock.advance_s(1 / 30)
    assert set(found) == {Judgement.PASS}


def test_another_size_is_another_latent_and_one_without_a_guide_is_compared_too() -> None:
    clock = ManualClock()
    policy = Frozen(clock)
    for latent in (Latent(CODE, GUIDE), Latent(CODE[:, :, :4], GUIDE[:, :, :16]), Latent(CODE, None)):
        assert policy.judge(latent, Controls()).reason == "it moves"
    assert policy.judge(Latent(CODE.copy(), None), Controls()).reason == "as still as its input"
