"""MIDI messages as moves of controls, and positions as messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.midi.controls import Control, Moved, Reader, control_of, message_of

NAMES = (
    "note:10:36",
    "cc:1:7",
    "cc14:16:31",
    "nrpn:2:16383",
    "bend:1",
    "program:3",
    "pressure:4",
    "touch:1:0",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_control_is_named_as_it_reads(name: str) -> None:
    assert str(control_of(name)) == name


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("cc", "should be KIND:CHANNEL:NUMBER"),
        ("cc:1", "should be KIND:CHANNEL:NUMBER"),
        ("bend:1:2", "should be KIND:CHANNEL:NUMBER"),
        ("fader:1:2", "should be KIND:CHANNEL:NUMBER"),
        ("cc:17:1", "channels are 1 to 16"),
        ("cc:0:1", "channels are 1 to 16"),
        ("cc14:1:32", "those of cc14 are 0 to 31"),
        ("note:1:x", "has number x"),
    ],
)
def test_a_name_that_is_none_says_what_to_write(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        control_of(text)


def test_plain_messages_move_one_control() -> None:
    reader = Reader()
    assert reader.moves((0x99, 36, 100)) == [Moved(Control("note", 10, 36), 100)]
    assert reader.moves((0x89, 36, 64)) == [Moved(Control("note", 10, 36), 0)]
    assert reader.moves((0xB0, 70, 5)) == [Moved(Control("cc", 1, 70), 5)]
    assert reader.moves((0xC2, 9)) == [Moved(Control("program", 3), 9)]
    assert reader.moves((0xD0, 33)) == [Moved(Control("pressure", 1), 33)]
    assert reader.moves((0xA0, 60, 7)) == [Moved(Control("touch", 1, 60), 7)]
    assert reader.moves((0xE0, 0, 64)) == [Moved(Control("bend", 1), 8192)]


def test_fourteen_bits_are_two_messages_and_either_may_come_alone() -> None:
    reader = Reader()
    assert reader.moves((0xB0, 7, 100)) == [Moved(Control("cc", 1, 7), 100)]  # nobody knows yet it has more
    assert reader.moves((0xB0, 39, 5))[1] == Moved(Control("cc14", 1, 7), 100 * 128 + 5)
    assert reader.moves((0xB0, 7, 101))[1] == Moved(Control("cc14", 1, 7), 101 * 128 + 5)


def test_an_nrpn_is_named_and_then_entered() -> None:
    reader = Reader()
    for byte in ((99, 2), (98, 44)):
        reader.moves((0xB0, *byte))
    assert reader.moves((0xB0, 6, 1))[1] == Moved(Control("nrpn", 1, 300), 128)
    assert reader.moves((0xB0, 38, 3))[1] == Moved(Control("nrpn", 1, 300), 131)
    reader.moves((0xB0, 101, 0))  # a registered parameter is named: what is entered now is not the NRPN's
    assert len(reader.moves((0xB0, 6, 9))) == 1


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_to_a_controller_is_what_it_would_send(name: str) -> None:
    control, reader = control_of(name), Reader()
    position = control.largest * 2 // 3
    moved = [move for message in message_of(control, position) for move in reader.moves(message)]
    assert Moved(control, position) in moved


@given(st.lists(st.lists(st.integers(-5, 300), max_size=5), max_size=40))
def test_whatever_comes_nothing_is_raised_and_positions_are_within_their_range(messages) -> None:
    reader = Reader()
    for message in messages:
        for moved in reader.moves(message):
            assert 0 <= moved.position <= moved.control.largest
