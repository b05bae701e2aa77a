"""Holds that last are said in the log, at once a second old and then once a minute."""

from __future__ import annotations

import logging

import pytest

from vivant.runtime.frames import Judgement, Verdict
from vivant.runtime.holding import Holding

SECOND = 1_000_000_000
HELD, PASSED = Verdict(Judgement.HOLD, 0.0, "outside the envelope"), Verdict(Judgement.PASS, 1.0, "fits")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "vivant.present"]


def test_a_hold_of_a_moment_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="vivant.present")
    holding = Holding()
    for frame in range(90):
        holding.hear(PASSED if frame % 25 == 24 else HELD, frame * SECOND // 30)
    assert said(caplog) == []


def test_one_that_lasts_is_said_with_its_reason_and_again_each_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="vivant.present")
    holding = Holding()
    for frame in range(30 * 130):
        holding.hear(HELD, frame * SECOND // 30)
    holding.hear(PASSED, 130 * SECOND)
    assert said(caplog) == [
        "every picture has been held for 1 s: outside the envelope",
        "every picture has been held for 61 s: outside the envelope",
        "every picture has been held for 121 s: outside the envelope",
        "pictures are admitted again, after 130 s",
    ]
