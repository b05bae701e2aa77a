"""The critic's eye: any classifier in ONNX, as its plan says; what does not fit is an error with a reason."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_classifier import LABELS, write_classifier

from vivant.guardrails.critic import Critic, CriticError, Plan, labels_in

RED, GREEN, GREY = (230, 20, 20, 255), (20, 230, 20, 255), (128, 128, 128, 255)


def picture(colour: tuple[int, int, int, int], side: int = 48) -> np.ndarray:
    return np.full((side, side, 4), colour, np.uint8)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(write_classifier(tmp_path / "c.onnx"), LABELS, {"red": 0.5, "green": 0.9}, (32, 32))


def test_it_says_what_is_forbidden_and_how_much(plan: Plan) -> None:
    critic = Critic(plan)
    red, grey = critic.look(picture(RED)), critic.look(picture(GREY))
    assert (red.label, red.forbidden) == ("red", True)
    assert red.score > 0.9
    assert not grey.forbidden
    assert critic.look(picture(GREEN)).label == "green"


def test_a_threshold_belongs_to_its_label(plan: Plan) -> None:
    lenient = Critic(replace(plan, forbidden={"red": 1.0}))
    assert not lenient.look(picture(RED)).forbidden


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_both_layouts_and_orders_are_given_as_asked(tmp_path: Path, layout: str) -> None:
    file = write_classifier(tmp_path / "c.onnx", layout=layout)
    plan = Plan(file, LABELS, {"red": 0.5}, (32, 32), layout=layout)  # type: ignore[arg-type]
    assert Critic(plan).look(picture(RED)).forbidden
    turned = Critic(replace(plan, order="bgr", forbidden={"green": 0.5}))
    assert turned.look(picture((20, 230, 230, 255))).score < 0.5, "red and blue are exchanged"


def test_mean_and_std_are_those_of_the_training(plan: Plan) -> None:
    plain, scaled = Critic(plan), Critic(replace(plan, mean=(0.5,) * 3, std=(2.0,) * 3))  # type: ignore[arg-type]
    assert scaled.look(picture(RED)).score < plain.look(picture(RED)).score


def test_a_score_may_be_of_each_label_alone(plan: Plan) -> None:
    found = Critic(replace(plan, scores="sigmoid")).look(picture(GREY))
    assert found.score == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": Path("absent.onnx")}, "absent.onnx cannot be read"),
        ({"sha256": "0" * 12}, "the scene says 000000000000"),
        ({"labels": ("red", "green")}, "gives 3 scores, and 2 labels"),
        ({"layout": "nhwc", "size_px": (64, 64)}, "Change size or layout"),
        ({"output": "probabilities"}, "it has logits"),
        ({"scores": "plain"}, "Write what they are"),
    ],
)
def test_what_does_not_fit_is_said_before_the_show(plan: Plan, change: dict, words: str) -> None:
    changed = replace(plan, **change)
    changed = replace(changed, forbidden={"red": 0.5})
    with pytest.raises(CriticError, match=words):
        Critic(changed)


def test_a_file_that_is_no_model_and_one_with_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"hello")
    with pytest.raises(CriticError, match="no model that onnxruntime runs"):
        Critic(Plan(tmp_path / "no.onnx", LABELS, {"red": 0.5}))
    nan = write_classifier(tmp_path / "nan.onnx", weights=np.full((3, 3), np.nan, np.float32))
    with pytest.raises(CriticError, match="scores from nan"):
        Critic(Plan(nan, LABELS, {"red": 0.5}, (32, 32)))


def test_a_shortened_hash_is_enough(plan: Plan) -> None:
    digest = hashlib.sha256(plan.file.read_bytes()).hexdigest()
    assert Critic(replace(plan, sha256=digest[:12])).look(picture(RED)).forbidden


def test_labels_are_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("red\n\n green \nneither\n")
    assert labels_in(tmp_path / "labels.txt") == LABELS
    with pytest.raises(CriticError, match="cannot be read"):
        labels_in(tmp_path / "none.txt")
