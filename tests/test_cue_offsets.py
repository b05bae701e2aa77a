"""The measurement of cues and triggers on beats, as a short show of nothing but brightness."""

from __future__ import annotations

import pytest

from vivant.tools.cue_offsets import measure


@pytest.mark.gl
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["look", "trigger-look"])
def test_every_look_is_seen_about_its_beat_and_the_lead_is_told(kind: str) -> None:
    found = measure(kind, 240.0, 14.0, backend="null")
    assert found["cues"] + found["missed"] >= 3
    assert 0 <= found["away_ms"]["p50"] < 1.5 * 250  # what is later than a beat and a half is missed
    assert found["lead_ms"] > 0
