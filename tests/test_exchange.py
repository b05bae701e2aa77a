"""The lanes: newest wins, nothing torn is handed on, nothing that was not admitted has pixels."""

from __future__ import annotations

import multiprocessing as mp
import time
from pathlib import Path

import numpy as np
import pytest

from vivant.runtime.exchange import (
    Lane,
    LaneReader,
    LaneWriter,
    make_lanes,
    read_controls,
    read_picture,
    refuse_unless_admitted,
    write_controls,
    write_picture,
)
from vivant.runtime.frames import Controls, Judgement, Picture, Verdict

CONTEXT = mp.get_context("spawn")
ADMITTED = Verdict(Judgement.PASS, 1.0, "fits")


def picture(verdict: Verdict, size: int = 32) -> Picture:
    pixels = np.full((size, size, 4), 7, np.uint8)
    return Picture(pixels, 3, verdict, captured_ns=5, rendered_ns=9, timings_ms={"encode": 1.5})


def flat_out(lane: Lane, seconds: float) -> None:
    """Write values whose every byte is the same number, as fast as it goes."""
    writer = LaneWriter(lane)
    end = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < end:
        number += 1
        writer.write([np.full(200_000, number % 251, np.uint8), np.full(50_000, number % 251, np.uint8)])


def test_no_torn_value_is_handed_on_with_both_sides_flat_out() -> None:
    lane = Lane(CONTEXT, 300_000)
    reader = LaneReader(lane)
    child = CONTEXT.Process(target=flat_out, args=(lane, 1.5))
    child.start()
    taken = 0
    while child.is_alive():
        parts = reader.newest()
        if parts is None:
            continue
        taken += 1
        values = np.unique(np.concatenate([np.frombuffer(part, np.uint8) for part in parts]))
        assert len(values) == 1, f"torn value {values} after {taken} reads"
    child.join()
    assert taken > 100


def test_a_value_overwritten_during_the_copy_is_counted_and_not_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = Lane(CONTEXT, 1000)
    writer, reader = LaneWriter(lane), LaneReader(lane)
    writer.write([np.ones(10, np.uint8)])
    calls = []

    def overtaken() -> None:
        calls.append(1)
        if len(calls) == 2:  # after the copy, before the sequence is looked at again
            for _ in range(4):
                LaneWriter.write(writer, [np.full(10, 9, np.uint8)])

    monkeypatch.setattr("vivant.runtime.exchange.fence", overtaken)
    parts = reader.newest()
    assert reader.torn == 1
    assert parts is not None
    assert set(parts[0]) == {9}


def test_newest_wins_and_what_was_passed_over_is_counted() -> None:
    lane = Lane(CONTEXT, 100)
    writer, reader = LaneWriter(lane), LaneReader(lane)
    assert reader.newest() is None
    for number in range(5):
        writer.write([np.full(4, number, np.uint8)])
    parts = reader.newest()
    assert parts is not None
    assert set(parts[0]) == {4}
    assert reader.skipped == 4
    assert reader.newest() is None


def test_a_writer_killed_in_the_middle_leaves_the_lane_usable() -> None:
    lane = Lane(CONTEXT, 100)
    writer, reader = LaneWriter(lane), LaneReader(lane)
    writer.write([np.full(4, 1, np.uint8)])
    _, headers, _ = lane.views()
    headers[2][0] = 2 * 2 - 1  # the next slot, marked as being written
    assert reader.newest() is not None
    LaneWriter(lane).write([np.full(4, 2, np.uint8)])
    parts = reader.newest()
    assert parts is not None
    assert set(parts[0]) == {2}


def test_a_value_that_does_not_fit_is_refused() -> None:
    lane = Lane(CONTEXT, 100)
    with pytest.raises(ValueError, match="does not fit"):
        LaneWriter(lane).write([np.zeros(101, np.uint8)])


def test_controls_arrive_whole() -> None:
    lanes = make_lanes(CONTEXT)
    reader = LaneReader(lanes.controls)
    sent = Controls(serial=4, styles={"ink": 0.5}, numbers={"/vivant/look/grain": 0.25}, size_px=(320, 256))
    write_controls(LaneWriter(lanes.controls), sent)
    got = read_controls(reader)
    assert got is not None
    assert got.size_px == (320, 256)
    assert dict(got.styles) == {"ink": 0.5}
    assert dict(got.numbers) == {"/vivant/look/grain": 0.25}


def test_a_picture_arrives_with_its_pixels_and_source() -> None:
    lanes = make_lanes(CONTEXT)
    reader = LaneReader(lanes.pictures)
    sent = picture(ADMITTED)
    write_picture(LaneWriter(lanes.pictures), sent)
    got = read_picture(reader)
    assert got is not None
    assert got.verdict == ADMITTED
    assert np.array_equal(got.pixels, sent.pixels)
    assert refuse_unless_admitted(got) is got


@pytest.mark.parametrize("judgement", [Judgement.HOLD, Judgement.BLANK])
def test_pixels_that_were_not_admitted_never_cross(judgement: Judgement) -> None:
    lanes = make_lanes(CONTEXT)
    reader = LaneReader(lanes.pictures)
    write_picture(LaneWriter(lanes.pictures), picture(Verdict(judgement, 0.0, "no")))
    got = read_picture(reader)
    assert got is not None
    assert got.pixels.size == 0


@pytest.mark.parametrize("judgement", [Judgement.HOLD, Judgement.BLANK])
def test_the_boundary_strips_pixels_without_an_admitting_verdict(judgement: Judgement) -> None:
    held = refuse_unless_admitted(picture(Verdict(judgement, 0.2, "forbidden")))
    assert held.pixels.size == 0
    assert held.verdict.judgement is judgement


def test_the_boundary_refuses_an_admitted_picture_of_a_wrong_shape() -> None:
    wrong = Picture(np.zeros((8, 8, 3), np.uint8), 1, ADMITTED, 0, 0)
    assert refuse_unless_admitted(wrong).verdict.judgement is Judgement.HOLD


def test_nothing_is_left_in_shared_memory() -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir():
        pytest.skip("no /dev/shm on this system")
    before = set(shared.iterdir())
    lanes = make_lanes(CONTEXT)
    write_controls(LaneWriter(lanes.controls), Controls())
    assert {p for p in set(shared.iterdir()) - before if "pym" in p.name} == set()
