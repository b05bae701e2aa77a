"""Every door of a real show, under what a stranger may send: in short."""

from __future__ import annotations

import pytest

from vivant.tools.fuzz_doors import among, fuzz, longest_still, phases, risen


@pytest.mark.gl
@pytest.mark.slow
def test_the_picture_goes_on_and_counters_tell_whatever_comes() -> None:
    names = ("osc noise", "osc NaN", "osc flood", "midi sysex", "midi notes", "ws frames", "ws OSC")
    found, ended = fuzz(1.5, names, student="null", backend="null")
    assert [(one.name, one.wrong) for one in found if one.wrong] == []
    assert ended == []
    assert {one.name for one in found} > {"quiet", "osc flood", "ws frames", "ws OSC flood"}


def test_every_phase_but_the_quiet_ones_and_the_sender_alone_names_a_counter() -> None:
    assert {one.name for one in phases() if not one.moved} <= {"quiet", "sender alone"}


def test_chosen_phases_stand_between_quiet_ones() -> None:
    assert [one.name for one in among(("ws LISTEN",))] == ["quiet", "ws LISTEN", "quiet"]


def test_counters_that_rose_are_told_by_their_path() -> None:
    before = {"osc": {"received": 3, "refused_by_reason": {"malformed": 1}, "feedback": {"sent": 2}}}
    after = {
        "osc": {"received": 5, "refused_by_reason": {"malformed": 1, "late": 4}, "feedback": {"sent": 2}}
    }
    assert risen(before, after) == {"osc.received": 2, "osc.refused_by_reason.late": 4}


def test_a_picture_that_stands_is_seen_however_many_lines_are_said() -> None:
    said = [{"at_s": at / 5, "presented": min(at, 10)} for at in range(30)]
    assert longest_still(said, 0.0, 6.0) == pytest.approx(4.0)
