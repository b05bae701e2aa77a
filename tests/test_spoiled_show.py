"""The reading of recordings of a show with spoiled latents: what flickers or is strange is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vivant.tools.spoiled_show import Film, compared, judgements, steps_of, strangeness


def film(seed: int = 1, count: int = 60) -> Film:
    """A soft picture that drifts slowly."""
    rng = np.random.default_rng(seed)
    x = np.arange(96)
    wave = [(128 + 60 * np.sin((x[:, None] + x[None] + index) / 20)) for index in range(count)]
    pictures = np.stack(wave)[..., None].repeat(3, 3) + rng.normal(0, 1, (count, 96, 96, 3))
    return Film(np.clip(pictures, 0, 255).astype(np.uint8), np.arange(count) / 30)


def with_one_other(picture: int) -> Film:
    found = film(2)
    found.pictures[picture] = 255 - found.pictures[picture]
    return found


def test_a_single_other_picture_is_strange_and_a_step():
    usual, spoilt = film(), with_one_other(30)
    found = strangeness(spoilt, usual)
    assert int(np.argmax(found)) == 30
    assert found[30] > 5 * np.delete(found, 30).max()
    assert steps_of(spoilt).most > 5 * steps_of(usual).most
    assert steps_of(spoilt).p50 == pytest.approx(steps_of(usual).p50, rel=0.2)


def test_the_same_show_again_is_not_strange():
    found = compared({"usual": film(1), "again": film(2), "spoiled": film(3)})
    assert found["strangest"]["spoiled"] == pytest.approx(found["strangest"]["again"], rel=0.2)
    assert found["pictures"] == {"usual": 60, "again": 60, "spoiled": 60}


def test_what_became_of_spoiled_latents_is_counted(tmp_path: Path):
    lines = [
        {"way": "", "verdict": "PASS", "decoded": True, "as_it_was": True},
        {"way": "", "verdict": "HOLD", "decoded": False, "as_it_was": True},
        {"way": "noise", "verdict": "HOLD", "decoded": False, "as_it_was": True},
        {"way": "torn", "verdict": "SOFTEN", "decoded": True, "as_it_was": False},
        {"way": "torn", "verdict": "PASS", "decoded": True, "as_it_was": True},
    ]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(line) for line in lines))
    found = judgements(log)
    assert (found["latents"], found["spoiled"], found["others_held"]) == (5, 3, 1)
    assert found["verdicts"] == {"HOLD": 1, "SOFTEN": 1, "PASS": 1}
    assert found["decoded_as_it_was"] == {"torn": 1}
