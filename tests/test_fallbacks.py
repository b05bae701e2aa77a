"""What a show tries by itself when the guard goes on holding."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vivant.runtime.fallbacks import CALM_S, FADE_S, Fallbacks, fallback_of
from vivant.runtime.frames import Controls, Judgement, Verdict

STYLES = ("oil", "ink")
ASKED = Controls(
    seed=7, strength=0.6, styles={"oil": 1.0, "ink": 0.0}, adapters={"gold": 0.8},
    numbers={"/vivant/adapter/gold": 0.8, "/vivant/look/contrast": 1.0},
)  # fmt: skip
WORDS = ("seed", "adapters off", "strength down", "style:ink")
HELD, PASSED = Verdict(Judgement.HOLD, 0.0, "no"), Verdict(Judgement.PASS, 1.0, "yes")


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


class Show:
    def __init__(self, words: tuple[str, ...] = WORDS, after_s: float = 3.0) -> None:
        self.fallbacks = Fallbacks(words, STYLES, after_s)
        self.at_s = 0.0
        self.steps: list[tuple[float, str, bool]] = []

    def see(self, verdict: Verdict, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            step = self.fallbacks.hear(verdict, ns(self.at_s))
            if step is not None:
                self.steps.append((round(self.at_s, 1), step.word, step.on))
            self.at_s += 0.1

    @property
    def controls(self) -> Controls:
        return self.fallbacks.apply(ASKED, ns(self.at_s))


def test_while_pictures_are_admitted_nothing_is_changed() -> None:
    show = Show()
    show.see(PASSED, 60)
    assert show.controls is ASKED
    assert show.steps == []


def test_they_come_in_their_order_each_after_its_time() -> None:
    show = Show()
    show.see(HELD, 20)
    assert show.steps == [(3.0, "seed", True), (6.0, "adapters off", True), (9.0, "strength down", True),
                          (12.0, "style:ink", True)]  # fmt: skip
    changed = show.controls
    assert changed.seed != 7
    assert changed.adapters == {"gold": 0.0}
    assert changed.numbers["/vivant/adapter/gold"] == 0.0
    assert changed.numbers["/vivant/look/contrast"] == 1.0
    assert changed.strength == pytest.approx(0.1)
    assert changed.styles == {"oil": 0.0, "ink": 1.0}


def test_a_hold_that_ends_in_time_brings_about_none() -> None:
    show = Show()
    for _ in range(10):
        show.see(HELD, 2.5)
        show.see(PASSED, 0.2)
    assert show.steps == []


def test_once_it_is_calm_they_are_let_go_of_last_first_and_without_a_jump() -> None:
    show = Show(("adapters off", "strength down"))
    show.see(HELD, 7)
    show.see(PASSED, CALM_S + 0.2)
    assert show.steps[-1][1:] == ("strength down", False)
    strengths = []
    for _ in range(round(FADE_S * 10) + 2):
        strengths.append(show.controls.strength)
        show.see(PASSED, 0.1)
    assert strengths[0] < 0.2
    assert strengths[-1] == pytest.approx(0.6)
    assert max(b - a for a, b in pairwise(strengths)) < 0.06
    show.see(PASSED, CALM_S + FADE_S + 1)
    assert show.controls is ASKED
    assert show.fallbacks.reached == 0


def test_one_that_was_let_go_of_too_soon_stays_twice_as_long_the_next_time() -> None:
    show = Show(("seed",))
    lasted = []
    for _ in range(3):
        show.see(HELD, 3.2)
        began = show.at_s
        while show.fallbacks.reached:
            show.see(PASSED, 0.1)
        lasted.append(show.at_s - began)
    assert lasted[0] == pytest.approx(CALM_S, abs=0.5)
    assert lasted[1] == pytest.approx(2 * CALM_S, abs=0.5)
    assert lasted[2] == pytest.approx(4 * CALM_S, abs=0.5)


@pytest.mark.parametrize("word", ["", "seeds", "style:mosaic", "style:", "blank"])
def test_an_unknown_fallback_is_an_error_that_says_which_there_are(word: str) -> None:
    with pytest.raises(ValueError, match="'strength down', 'style:oil'"):
        fallback_of(word, STYLES)
