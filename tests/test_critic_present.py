"""What the critic takes back leaves the screen: in the present loop, with pictures put into its lane."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_critic_process import BAD, GOOD, Hand
from test_present import GREEN, RED, Stage, stage  # noqa: F401  # a fixture

from vivant.runtime.critic import Criticism

pytestmark = pytest.mark.gl


def shown(stage: Stage) -> tuple[int, ...] | None:  # noqa: F811
    """The colour of the picture that the screen goes to; the flash guard may take its time."""
    stage.colour()
    picture = stage.present._shown.picture
    return None if picture is None else tuple(int(value) for value in picture.pixels[0, 0])


def test_a_forbidden_picture_leaves_the_screen_for_the_last_one_that_passed(stage: Stage) -> None:  # noqa: F811
    hand = Hand()
    critic = Criticism(hand, every=1, limit_s=60)
    stage.present._with = replace(stage.present._with, critic=critic)
    stage.send(RED)
    assert shown(stage) is None, "nothing is shown before its first word"
    hand.says(GOOD)
    stage.send(RED)
    assert shown(stage) == RED
    hand.says(GOOD)
    stage.send(GREEN)
    assert shown(stage) == GREEN, "pictures are shown before it has looked at them"
    hand.says(BAD)
    assert shown(stage) == RED
    assert stage.canvas._previous is None, "no crossfade shows it again"
    stage.send(GREEN)
    assert shown(stage) == RED
    assert stage.present.status()["verdict"] == "hold"
    assert stage.present.status()["critic"] == 1
