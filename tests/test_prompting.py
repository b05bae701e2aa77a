"""The parameters of a diffusion student: texts, decks, and what its model does not use is not there."""

from __future__ import annotations

from typing import Any

import pytest

from vivant.engines.diffusion.facts import Facts
from vivant.engines.diffusion.prompts import key_of, mix_of
from vivant.engines.diffusion.wishes import (
    BLEND,
    CONTROL_SCALE,
    GUIDANCE,
    IMAGE_SCALE,
    NEGATIVE,
    PROMPT,
    PROMPT_A,
    PROMPT_B,
    PROMPT_FADE_S,
    wishes_of,
)
from vivant.runtime.cycle import Cycle
from vivant.runtime.feedback import Feedback
from vivant.runtime.frames import Controls, VivantError
from vivant.runtime.packets import arguments, split
from vivant.runtime.parameters import CHOOSE, NORM, AdapterSketch, parameters_for
from vivant.runtime.prompting import LONGEST, prompting
from vivant.runtime.report import asked_of
from vivant.runtime.tree import Tree, parse_assignment

SECOND_NS = 1_000_000_000


def facts(**more: Any) -> Facts:
    plain = {
        "prediction": "epsilon",
        "sampler": {"kind": "euler", "noise": {"beta_schedule": "scaled_linear"}},
        "prompt": {"tokens": 77, "width": 32, "encoders": "e"},
        "size_multiple": 64,
        "default_size": 512,
        "base": "b",
    }
    return Facts.model_validate(plain | more)


@pytest.fixture
def tree() -> Tree:
    return Tree(
        parameters_for((), {"smoke": AdapterSketch("from smoke.safetensors", False)}, prompting(facts()))
    )


def test_what_a_model_does_not_use_is_no_parameter_of_its_show() -> None:
    plain = {one.address for one in prompting(facts())}
    assert {PROMPT, PROMPT_A, PROMPT_B, BLEND} <= plain
    assert not {NEGATIVE, GUIDANCE, CONTROL_SCALE, IMAGE_SCALE} & plain
    assert {one.address for one in prompting(facts(guidance=256))} - plain == {GUIDANCE}
    assert {one.address for one in prompting(facts(negative=True))} - plain == {NEGATIVE, GUIDANCE}
    assert {one.address for one in prompting(facts(control="fused", image=1024))} - plain == {
        CONTROL_SCALE,
        IMAGE_SCALE,
    }


def test_a_diffusion_student_has_no_styles_and_its_adapters_have_scales(tree: Tree) -> None:
    assert CHOOSE not in tree.parameters and tree.media == ()
    assert tree.set("/vivant/adapter/smoke", (0.5,), 0, "osc").taken
    controls = tree.controls(0, 0, (512, 512))
    assert controls.adapters == {"smoke": 0.5} and controls.styles == {}
    Cycle(tree).step(0)  # there is nothing to go round


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("a fox",), None),
        (("",), None),
        (("größe, 狐",), None),
        (("x" * LONGEST,), None),
        (("x" * (LONGEST + 1),), "out_of_range"),
        (("a\nfox",), "wrong_type"),
        (("a\0fox",), "wrong_type"),
        ((3.5,), "wrong_type"),
        ((True,), "wrong_type"),
        ((), "wrong_arity"),
        (("a", "b"), "wrong_arity"),
    ],
)
def test_a_text_is_taken_as_it_is_or_refused_and_counted(tree: Tree, args: Any, reason: str | None) -> None:
    assert tree.set(PROMPT_B, args, 0, "osc").reason == reason
    assert tree.value(PROMPT_B) == (args[0] if reason is None else "")
    assert tree.counts()["osc"] == {reason or "applied": 1}
    assert tree.set(PROMPT_B + NORM, (0.5,), 0, "osc").reason == "unknown_address"


def test_the_first_prompt_is_there_at_once_and_the_next_is_faded_to_on_the_other_deck(tree: Tree) -> None:
    tree.set(PROMPT_FADE_S, (2.0,), 0, "osc")
    tree.set(PROMPT, ("a fox",), 0, "osc")
    assert (tree.value(PROMPT_A), tree.value(BLEND)) == ("a fox", 0.0)
    tree.set(PROMPT, ("snow",), 0, "osc")
    assert (tree.value(PROMPT_A), tree.value(PROMPT_B)) == ("a fox", "snow")
    tree.tick(SECOND_NS)
    assert float(tree.value(BLEND)) == pytest.approx(0.5)
    tree.tick(2 * SECOND_NS)
    assert tree.value(BLEND) == 1.0 and tree.prompt == "snow"
    tree.set(PROMPT, ("snow",), 3 * SECOND_NS, "osc")
    assert tree.value(BLEND) == 1.0  # it is heard already
    tree.set(PROMPT, ("ash",), 3 * SECOND_NS, "osc")
    tree.tick(5 * SECOND_NS)
    assert (tree.value(PROMPT_A), tree.value(BLEND), tree.prompt) == ("ash", 0.0, "ash")


def test_a_scene_starts_with_its_prompt_and_reset_comes_back_to_it(tree: Tree) -> None:
    tree.start_with({PROMPT: "a fox"}, "scene")
    tree.set(PROMPT, ("snow",), 0, "osc")
    tree.tick(100 * SECOND_NS)
    tree.reset()
    assert tree.controls(0, 0, (512, 512)).prompt == "a fox"
    with pytest.raises(VivantError, match="up to 400 characters"):
        tree.start_with({PROMPT: "x" * 401}, "scene")
    assert parse_assignment("prompt/a=12", tree) == (PROMPT_A, "12")


def test_whoever_listens_is_told_of_a_prompt_by_its_text_alone(tree: Tree) -> None:
    sent: list[bytes] = []
    feedback = Feedback(lambda datagram, where: not sent.append(datagram), [("127.0.0.1", 9)])
    tree.set(PROMPT_A, ("a fox",), 0, "osc")
    for turn in range(10):
        feedback.feed(tree, dict, turn * SECOND_NS)
    told = [(raw.partition(b"\0")[0].decode(), arguments(split(raw)[0][0])) for raw in sent]
    assert [args for address, args in told if address == PROMPT_A] == [["a fox"]]
    assert not any(address == PROMPT_A + NORM for address, _ in told)


def test_controls_say_what_the_student_is_asked_for(tree: Tree) -> None:
    tree.start_with({PROMPT_A: "a fox", PROMPT_B: "snow", BLEND: 0.25, "/vivant/student/steps": "4"}, "scene")
    wishes = wishes_of(tree.controls(0, 0, (512, 512)))
    assert (wishes.a, wishes.b, wishes.blend, wishes.steps, wishes.way) == ("a fox", "snow", 0.25, 4, "slerp")


def test_controls_that_hold_nonsense_are_as_the_parameters_start() -> None:
    nonsense = {BLEND: float("nan"), PROMPT_B: 3.0, GUIDANCE: "much", "/vivant/student/feedback": 7.0}
    wishes = wishes_of(Controls(strength=float("inf"), numbers=nonsense))
    assert (wishes.strength, wishes.blend, wishes.b, wishes.guidance) == (0.0, 0.0, "", 1.0)
    assert wishes.feedback == 0.95


@pytest.mark.parametrize(
    ("text", "mix"),
    [
        ("a fox", (("a fox", 1.0),)),
        ("ink:2 | gold leaf", (("ink", 2.0), ("gold leaf", 1.0))),
        ("ink : .5|gold:0", (("ink", 0.5),)),
        ("ink:0|gold:0", (("ink", 1.0),)),
        ("half past 10:30", (("half past 10:30", 1.0),)),
        ("", (("", 1.0),)),
        ("a fox: red", (("a fox: red", 1.0),)),
    ],
)
def test_a_text_may_be_a_mix_of_prompts(text: str, mix: Any) -> None:
    assert mix_of(text) == mix


def test_a_report_says_the_prompt_and_the_hash_that_it_is_kept_by(tree: Tree) -> None:
    tree.start_with({PROMPT: "a fox"}, "scene")
    controls = tree.controls(0, 0, (512, 512))
    said = asked_of({"encoders": "e"}, controls)
    assert said["prompt"] == "a fox" and said["prompt_hash"] == key_of("e", "a fox")
    assert set(asked_of({}, controls)) == {"steps", "strength"}
