"""Slots follow from the names that are worn, and from nothing before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vivant.engines.hangers import Hangers

NAMES = ("dawn", "dusk", "noon", "rain")


def hangers(count: int) -> tuple[Hangers, list[str | None], list[str]]:
    """With what lies in each slot, and every copy that was made."""
    slots: list[str | None] = [None] * count
    copies: list[str] = []

    def fill(slot: int, name: str) -> None:
        slots[slot] = name
        copies.append(name)

    return Hangers(count, fill), slots, copies


scales = st.dictionaries(st.sampled_from((*NAMES, "nobody")), st.floats(-1, 2) | st.just(float("nan")))


@given(st.lists(scales, max_size=12), scales)
def test_the_same_scales_lie_alike_whatever_was_worn_before(
    before: list[dict[str, float]], last: dict[str, float]
) -> None:
    used, used_slots, _ = hangers(3)
    new, new_slots, _ = hangers(3)
    into, fresh = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for one in before:
        used.wear(one, NAMES, into)
    worn = used.wear(last, NAMES, into)
    assert worn == new.wear(last, NAMES, fresh)
    assert np.array_equal(into, fresh)
    count = len(worn)
    assert used_slots[:count] == new_slots[:count] == sorted(worn)
    assert not into[count:].any()


def test_what_hangs_already_is_not_copied_again() -> None:
    hung, _, copies = hangers(2)
    into = np.zeros(2, np.float32)
    for scale in (0.2, 0.5, 1.0):
        hung.wear({"dusk": scale}, NAMES, into)
    hung.wear({}, NAMES, into)
    hung.wear({"dusk": 0.3}, NAMES, into)
    assert copies == ["dusk"]
    hung.renew("dusk")
    hung.wear({"dusk": 0.3}, NAMES, into)
    assert copies == ["dusk", "dusk"]


def test_of_equal_scales_too_many_the_first_names_are_worn() -> None:
    hung, slots, _ = hangers(2)
    assert hung.wear(dict.fromkeys(NAMES, 0.5), NAMES, np.zeros(2, np.float32)).keys() == {"dawn", "dusk"}
    assert slots == ["dawn", "dusk"]


def test_a_student_without_slots_wears_nothing() -> None:
    hung, _, copies = hangers(0)
    assert hung.wear({"dusk": 1.0}, NAMES, np.zeros(0, np.float32)) == {} and copies == []
