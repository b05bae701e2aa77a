"""What a guard is tried with: lettering, fences, spoiled latents; and that the counting is right."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vivant.runtime.frames import Latent

pytest.importorskip("skimage", reason="needs scikit-image (the distill extra)")

from vivant.distill import trial_pictures as made
from vivant.distill.guard_trial import NUMBERS, Trial, degenerate
from vivant.distill.trial_judging import Row, counted, said, sheet, table_of
from vivant.guardrails.spoil import CHANGED, WAYS

RNG = np.random.default_rng
GREY = np.full((192, 192, 3), 128, np.uint8)


@pytest.mark.parametrize("cap", [1 / 16, 1 / 8])
def test_letters_are_as_high_as_they_are_asked_to_be(cap):
    for seed in range(12):
        letters = made.lettering(RNG(seed), most=3)
        try:
            found, contrast = made.placed(GREY, letters, cap, RNG(seed))
        except ValueError:
            continue
        changed = (found.astype(int) - GREY).any(2)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        across = np.hypot(np.ptp(rows), np.ptp(columns)) / 192
        assert changed.any() and 0.0 < contrast < 1.0
        assert 0.6 * cap < across < cap * 1.42 * np.hypot(*letters.alpha.shape) / made.CAP_PX + 0.05
        assert rows[0] > 0 and columns[0] > 0 and rows[-1] < 191 and columns[-1] < 191


def test_letters_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        made.placed(GREY, made.lettering(RNG(3), most=7), 0.8, RNG(1))


def test_text_that_is_judged_is_large_enough_and_stands_out():
    for seed in range(8):
        _, cap, contrast = made.text(GREY, RNG(seed), made.SMALLEST_CAP, 0.2)
        assert made.SMALLEST_CAP <= cap <= 0.2 and contrast >= made.LEAST_CONTRAST


def test_new_lettering_is_in_fonts_of_its_own():
    fonts = made.outlines()
    if len(fonts) < 8:
        pytest.skip("this machine has no outline fonts to keep apart")
    apart = set(fonts[::4])
    assert apart and apart < set(fonts)
    one, other = (made.written(["AB"], RNG(0), new) for new in (False, True))
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_a_fence_covers_a_part_and_leaves_the_rest():
    shares = [float((made.busy(GREY, RNG(seed)) != GREY).any(2).mean()) for seed in range(20)]
    assert min(shares) > 0.01 and max(shares) < 0.99 and np.mean(shares) > 0.05


def test_every_degenerate_latent_is_another_code_and_says_which_way():
    code = RNG(1).standard_normal((1, 16, 12, 12), np.float32)
    latent = Latent(code, np.full((1, 1, 48, 48), 0.5, np.float32))
    ways = set()
    for seed in range(150):
        found, facts = degenerate(latent, RNG(seed))
        ways.add(facts["way"])
        away = np.sqrt(np.square(found.code - code).mean())
        assert not away <= CHANGED, "NaN is no number that is near"
    assert ways == {*WAYS, *NUMBERS}


def test_a_symbols_scale_is_its_width(tmp_path: Path):
    trial = Trial(np.stack([GREY] * 3), np.stack([GREY]), 12, 0.12)
    for shown in trial.symbols():
        red = (shown.pixels[..., 0].astype(int) - shown.pixels[..., 1]) > 90
        columns = np.flatnonzero(red.any(0))
        assert 0.12 <= shown.facts["scale"] <= 0.9
        assert np.ptp(columns) / 192 == pytest.approx(shown.facts["scale"], abs=0.06)


def rows() -> list[Row]:
    thumb = np.zeros((128, 128, 3), np.uint8)
    return [
        Row(
            "ink" if index % 2 else "oil",
            index < 6,
            0.4 if index < 6 else 0.9,
            "a: b",
            0.2,
            {"cap": index / 10},
            thumb,
        )
        for index in range(10)
    ]


def test_rates_are_counted_in_all_and_by_every_fact():
    found = counted(rows(), {"cap": (0.0, 0.5, 1.0)})
    assert (found["held"], found["of"], found["rate"]) == (6, 10, 0.6)
    assert found["interval_95"][0] < 0.6 < found["interval_95"][1]
    assert [rate["held"] for rate in found["by_cap"].values()] == [5, 1]
    assert found["by_medium"]["oil"]["of"] == 5 and found["why"] == {"a": 6}
    assert "held 6 of 10, 60.00%" in said("symbol", found)
    assert set(table_of(rows(), "cap", ())) == {str(index / 10) for index in range(10)}


def test_the_sheet_is_a_picture_of_both_sides(tmp_path: Path):
    sheet({"symbol": rows()}, tmp_path / "sheet.jpg")
    drawn = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert drawn is not None and drawn.shape[0] > 2 * 128 and drawn.std() > 10
