"""The flash watch against sequences on both sides of every threshold of WCAG 2.3.1 and BT.1702."""

from __future__ import annotations

import numpy as np
import pytest
from flash_sequences import FIELD, SEQUENCES, Sequence, alternating, patch, too_many, watched, whole

from vivant.guardrails.flash import (
    COLUMNS,
    ROWS,
    Limits,
    Tally,
    Watch,
    area_in_field,
    field_cells,
)
from vivant.guardrails.flash_swings import Turns


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
def test_each_sequence_has_too_many_flashes_of_just_the_kinds_that_the_standards_say(
    sequence: Sequence,
) -> None:
    assert too_many(sequence.frames()) == sequence.too_many


@pytest.mark.parametrize("hz", [24, 30, 50, 120])
def test_the_count_of_flashes_does_not_depend_on_the_rate_of_the_pictures(hz: int) -> None:
    found = watched(alternating(whole(0.1), whole(0.9), 6, 2.5, hz), hz=hz)
    assert found == {"general": 12, "red": 0, "red 2.1": 0}


def test_what_changes_at_every_place_but_nowhere_together_is_motion() -> None:
    phases = np.random.default_rng(5).integers(0, 24, (ROWS, COLUMNS))
    scattered, together = Watch(FIELD), Watch(FIELD)
    for index in range(120):
        beat = index // 2  # 33 ms; one place in twenty-four turns bright, another dark
        for watch, bright in (
            (scattered, (beat + phases) % 24 < 12),
            (together, (beat + 0 * phases) % 24 < 12),
        ):
            light = np.where(bright, 0.9, 0.1).astype(np.float32)[..., None].repeat(3, -1)
            watch.see(light, index * 16_666_667)
    assert together.transitions()["general"] >= 2
    assert scattered.transitions()["general"] == 0


def test_a_figure_that_brightens_what_it_darkens_beside_it_is_motion() -> None:
    watch = Watch(FIELD)
    for index in range(120):  # a striped patch as large as a field, swaying by a stripe eight times a second
        light = np.full((ROWS, COLUMNS, 3), 0.3, np.float32)
        stripes = np.where((np.arange(21) // 3 + index // 4) % 2, 0.7, 0.1).astype(np.float32)
        light[10:22, 20:41] = stripes[None, :, None]
        watch.see(light, index * 16_666_667)
    assert watch.transitions()["general"] <= 4


def test_a_field_is_a_third_of_a_wide_screen_and_all_of_a_small_one() -> None:
    assert field_cells(4 / 3) == (12, 21)  # WCAG: 341 x 256 of 1024 x 768
    assert field_cells(16 / 9) == (16, 21)
    assert field_cells(16 / 9, screen_deg=8.0) == (ROWS, COLUMNS)
    assert field_cells(16 / 9, screen_deg=60.0) == (8, 11)
    with pytest.raises(ValueError, match="positive"):
        field_cells(0.0)


def test_a_nearer_spectator_is_flashed_at_by_a_smaller_patch() -> None:
    frames = list(alternating(whole(0.1), patch(0.9, 6, 6, 0.1), 6))
    near, far = Watch(field_cells(16 / 9, 60.0)), Watch(field_cells(16 / 9, 30.0))
    for index, light in enumerate(frames):
        near.see(light, index * 16_666_667)
        far.see(light, index * 16_666_667)
    assert near.transitions()["general"] == 12
    assert far.transitions()["general"] == 0


def test_the_area_is_the_most_of_any_field_wherever_it_lies() -> None:
    cells = np.zeros((ROWS, COLUMNS), np.bool_)
    assert area_in_field(cells, FIELD) == 0.0
    cells[-4:, -21:] = True
    assert area_in_field(cells, FIELD) == pytest.approx(4 * 21 / 336)
    cells[:] = True
    assert area_in_field(cells, FIELD) == 1.0


def test_a_tally_forgets_what_is_a_second_old() -> None:
    tally = Tally()
    here, none = np.ones((ROWS, COLUMNS), np.bool_), np.zeros((ROWS, COLUMNS), np.bool_)
    tally.step(Turns(here, none), 0)
    tally.step(Turns(none, here), 400_000_000)
    assert tally.counts.max() == 2
    tally.step(Turns(none, none), 1_000_000_000)
    assert tally.counts.max() == 1
    tally.step(Turns(none, none), 1_400_000_000)
    assert tally.counts.max() == 0


def test_stricter_limits_are_reached_before_the_standards() -> None:
    strict = Limits().within(0.9)
    assert (strict.change, strict.dark, strict.area) == pytest.approx((0.09, 0.82, 0.225))
    nearly = list(alternating(whole(0.4), whole(0.495), 6))
    assert watched(iter(nearly))["general"] == 0
    assert watched(iter(nearly), strict)["general"] == 12


def test_a_picture_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="36, 64, 3"):
        Watch(FIELD).see(np.zeros((64, 36, 3), np.float32), 0)
