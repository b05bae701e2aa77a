"""Bytes of a network connection as MIDI messages, whatever comes."""

from __future__ import annotations

from collections import Counter

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.midi.network import REASONS, Wire


def heard(*pieces: bytes) -> list[list[int]]:
    wire = Wire(Counter())
    return [list(message) for piece in pieces for message in wire.messages(piece)]


def refused(*pieces: bytes) -> dict[str, int]:
    counted: Counter[str] = Counter()
    wire = Wire(counted)
    for piece in pieces:
        list(wire.messages(piece))
    return dict(+counted)


def test_a_status_may_run_on_and_a_message_may_come_in_pieces() -> None:
    assert heard(b"\xb0\x07\x10\x07", b"\x20") == [[0xB0, 7, 16], [0xB0, 7, 32]]
    assert heard(b"\xc3\x05\x06") == [[0xC3, 5], [0xC3, 6]]


def test_a_clock_may_stand_in_the_middle_of_a_message() -> None:
    assert heard(b"\x90\x24\xf8\x7f") == [[0xF8], [0x90, 36, 127]]


def test_system_exclusive_and_stray_data_are_nothing() -> None:
    assert heard(b"\x05\x06", b"\xf0" + bytes(range(100)) * 50, b"\xf7\x10\xb0\x07\x01") == [[0xB0, 7, 1]]


@pytest.mark.parametrize(
    ("pieces", "counted"),
    [
        ((b"\xf0\x01\x02\xf7\xf0\x03", b"\x04" * 5000, b"\xf8\x05\xf7"), {"system_exclusive": 2}),
        ((b"\x05\x06\x07\xb0\x07\x01", b"\xf7"), {"stray": 2}),
        ((b"\xf4\xf5\x10\xb0\xf9\x07\xfd\x01",), {"undefined": 4, "stray": 1}),
        ((b"\xb0\x07\x90\x24\x7f", b"\xc0"), {"broken": 1}),
        ((b"\xb0\x07\x01\x07\x02\xf8\xf2\x01\x02\xf6",), {}),
    ],
)
def test_what_becomes_no_message_is_counted_by_reason(
    pieces: tuple[bytes, ...], counted: dict[str, int]
) -> None:
    assert refused(*pieces) == counted


def test_a_song_position_is_whole_and_does_not_run_on() -> None:
    assert heard(b"\xf2\x10\x01\x02\x03") == [[0xF2, 16, 1]]


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_it_keeps_three_bytes_at_most_and_every_message_is_one(pieces: list[bytes]) -> None:
    counted: Counter[str] = Counter()
    wire = Wire(counted)
    for piece in pieces:
        for message in wire.messages(piece):
            mido.Message.from_bytes(list(message))
            assert len(message) <= 3
        assert len(wire._message) <= 3
    assert {*counted} <= {*REASONS}


@pytest.mark.parametrize(
    "kind", ["note_on", "control_change", "pitchwheel", "program_change", "clock", "start"]
)
def test_what_mido_sends_is_what_is_heard(kind: str) -> None:
    sent = mido.Message(kind).bytes()
    assert heard(bytes(sent)) == [sent]
