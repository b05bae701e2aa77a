"""The clock of beats: taps, a MIDI clock with jitter, a beat that is heard, and what falls due when."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.parameters import parameters_for
from vivant.runtime.sound.hearing import Heard, Pulse
from vivant.runtime.tempo.clock import BeatClock
from vivant.runtime.tempo.follow import Fit, Line
from vivant.runtime.tempo.leads import Ears, Hand, MidiClock
from vivant.runtime.tempo.parameters import (
    BPM,
    DOWNBEAT,
    IN_BAR,
    LED_BY,
    NUDGE_MS,
    SIGNALS,
    TAP,
    tempo_parameters,
)
from vivant.runtime.tree import Tree

MS, S = 1_000_000, 1_000_000_000
REFRESH_NS = S // 60


class Show:
    """A clock of beats and its tree, refreshed sixty times a second."""

    def __init__(self) -> None:
        self.tree = Tree((*parameters_for(), *tempo_parameters()))
        self.clock = BeatClock(self.tree)
        self.now_ns = 1 * S

    def refresh(self, until_ns: int) -> None:
        while self.now_ns < until_ns:
            self.now_ns += REFRESH_NS
            self.clock.signals(self.now_ns)

    def tap(self, at_ns: int) -> None:
        self.refresh(at_ns - REFRESH_NS)
        self.tree.set(TAP, (), at_ns, "test")
        self.refresh(at_ns)


@pytest.fixture
def show() -> Show:
    return Show()


def off_beat(clock: BeatClock, at_ns: int) -> float:
    """How far `at_ns` is from the nearest beat, in beats."""
    beats = clock.beats_at(at_ns)
    assert beats is not None
    return abs(beats - round(beats))


def test_before_anybody_said_anything_there_is_no_beat(show: Show) -> None:
    show.refresh(3 * S)
    assert show.clock.signals(3 * S) == {}
    assert show.clock.due("beat", 3 * S, 0) is None
    assert show.clock.bpm is None


@pytest.mark.parametrize("bpm", [63.0, 97.0, 128.0, 174.0])
def test_eight_taps_with_a_hands_jitter_come_within_two_percent_of_the_tempo(show: Show, bpm: float) -> None:
    rng = random.Random(1)
    for beat in range(8):
        show.tap(2 * S + round(beat * 60e9 / bpm + rng.uniform(-12, 12) * MS))
    assert show.clock.bpm == pytest.approx(bpm, rel=0.02)
    assert show.tree.value(BPM) == pytest.approx(bpm, rel=0.02)


def test_the_first_tap_of_a_count_begins_a_bar(show: Show) -> None:
    for beat in range(6):
        show.tap(2 * S + beat * S // 2)
    assert show.clock.beats_at(2 * S + 8 * S // 2) == pytest.approx(8.0, abs=0.05)
    show.tap(12 * S)
    assert show.clock.beats_at(12 * S) == pytest.approx(0.0, abs=0.05)


def test_many_taps_go_on_counting_beats() -> None:
    hand = Hand()
    for beat in range(30):
        hand.tap(beat * S // 2)
    line = hand.line(15 * S)
    assert line is not None
    assert line.beats(29 * S // 2) == pytest.approx(29.0, abs=0.01)


def test_a_bouncing_button_is_one_tap() -> None:
    hand = Hand()
    found = [hand.tap(at_ns) for at_ns in (0, 20 * MS, 500 * MS, 510 * MS, 1000 * MS)]
    assert [bpm for bpm in found if bpm is not None] == pytest.approx([120.0, 120.0])


def test_a_tempo_that_is_set_goes_on_from_where_the_beats_are(show: Show) -> None:
    show.tree.set(LED_BY, ("tap",), 0, "test")
    show.refresh(4 * S)
    before = show.clock.beats_at(show.now_ns)
    show.tree.set(BPM, (90.0,), show.now_ns, "test")
    show.refresh(show.now_ns + 1)
    assert show.clock.bpm == pytest.approx(90.0)
    assert before is not None
    assert show.clock.beats_at(show.now_ns) == pytest.approx(before, abs=0.05)


def play(midi: MidiClock, bpm: float, begin_ns: int, beats: int, jitter_ms: float = 0.0) -> int:
    """Send `beats` beats of ticks; returns when the next one would come."""
    rng, tick_ns = random.Random(2), 60e9 / bpm / 24
    for tick in range(beats * 24):
        midi.clock_tick(round(begin_ns + tick * tick_ns + rng.uniform(0, jitter_ms) * MS))
    return round(begin_ns + beats * 24 * tick_ns)


@pytest.mark.parametrize("bpm", [60.0, 120.0, 175.5])
def test_a_midi_clock_with_jitter_gives_its_tempo_and_its_beats(bpm: float) -> None:
    midi = MidiClock()
    midi.start(0)
    end_ns = play(midi, bpm, S, 8, jitter_ms=4.0)
    line = midi.line(end_ns)
    assert line is not None
    assert 60e9 / line.period_ns == pytest.approx(bpm, rel=0.01)
    assert line.beats(end_ns) == pytest.approx(8.0, abs=0.02)


def test_continue_goes_on_from_the_song_position() -> None:
    midi = MidiClock()
    midi.start(0)
    midi.stop(play(midi, 120.0, S, 4))
    midi.song_position(16 * 4, 5 * S)
    midi.resume(5 * S)
    end_ns = play(midi, 120.0, 5 * S, 2)
    line = midi.line(end_ns)
    assert line is not None
    assert line.beats(end_ns) == pytest.approx(18.0, abs=0.01)


def test_the_beats_go_on_for_a_while_when_the_midi_clock_is_gone_and_then_end(show: Show) -> None:
    show.clock.midi.start(show.now_ns)
    show.now_ns = end_ns = play(show.clock.midi, 120.0, show.now_ns, 8)
    show.refresh(end_ns + 2 * S)
    assert off_beat(show.clock, end_ns + 2 * S) < 0.02
    show.refresh(end_ns + 12 * S)
    assert show.clock.beats_at(show.now_ns) is None


def test_what_is_heard_is_followed_without_a_jump_and_within_a_few_beats(show: Show) -> None:
    ears = show.clock._ears
    rng = random.Random(3)
    last = 0.0
    for refresh in range(60 * 12):
        at_ns = S + refresh * REFRESH_NS
        phase = (0.3 + (at_ns - S) / 1e9 * 2.0 + rng.uniform(-0.02, 0.02)) % 1.0
        ears.hear(Heard(at_ns=at_ns, silent=False, pulse=Pulse(0.5, phase, 0.9), pulse_ns=at_ns))
        beats = show.clock.signals(at_ns)["beats"]
        assert beats >= last - 0.001
        last = beats
    assert last == pytest.approx(24.3, abs=0.1)
    assert show.clock.counts()["led_by"] == "sound"


def test_what_is_tapped_leads_over_what_is_heard_and_midi_over_both(show: Show) -> None:
    show.clock._ears.hear(Heard(at_ns=S, pulse=Pulse(0.4, 0.0, 0.9), pulse_ns=S))
    show.refresh(2 * S)
    assert show.clock.counts()["led_by"] == "sound"
    for beat in range(4):
        show.tap(3 * S + beat * S // 2)
    assert show.clock.counts()["led_by"] == "tap"
    show.now_ns = play(show.clock.midi, 140.0, show.now_ns, 2)
    show.refresh(show.now_ns + 1)
    assert show.clock.counts()["led_by"] == "midi"
    show.tree.set(LED_BY, ("sound",), 0, "test")
    show.refresh(show.now_ns + 1)
    assert show.clock.bpm == pytest.approx(150.0)


def test_what_is_due_on_a_beat_is_seen_on_it_after_its_lead(show: Show) -> None:
    show.tree.set(LED_BY, ("tap",), 0, "test")
    show.refresh(5 * S)
    for lead_ns in (0, 45 * MS, 700 * MS):
        due_ns = show.clock.due("beat", show.now_ns, lead_ns)
        assert due_ns is not None
        assert due_ns > show.now_ns
        assert off_beat(show.clock, due_ns + lead_ns) < 1e-6


def test_a_bar_begins_where_somebody_says_so(show: Show) -> None:
    show.tree.set(LED_BY, ("tap",), 0, "test")
    show.refresh(2 * S)
    beat_ns = show.clock.next_beat_ns("beat", show.now_ns + S)
    assert beat_ns is not None
    show.refresh(beat_ns)
    show.tree.set(DOWNBEAT, (), beat_ns, "test")
    show.refresh(beat_ns + 1)
    bar_ns = show.clock.next_beat_ns("bar", beat_ns + 10 * MS)
    assert bar_ns == pytest.approx(beat_ns + 2 * S, abs=MS)
    show.tree.set(IN_BAR, (2,), 0, "test")
    assert show.clock.next_beat_ns("bar", beat_ns + 10 * MS) == pytest.approx(beat_ns + S, abs=MS)


def test_a_nudge_moves_every_beat(show: Show) -> None:
    show.tree.set(LED_BY, ("tap",), 0, "test")
    show.refresh(2 * S)
    before_ns = show.clock.next_beat_ns("beat", 3 * S)
    show.tree.set(NUDGE_MS, (40.0,), 0, "test")
    assert show.clock.next_beat_ns("beat", 3 * S) == before_ns + 40 * MS


def test_signals_are_those_that_are_named_and_in_their_ranges(show: Show) -> None:
    show.tree.set(LED_BY, ("tap",), 0, "test")
    show.refresh(2 * S)
    for at_ns in range(2 * S, 5 * S, 37 * MS):
        found = show.clock.at(at_ns)
        assert set(found) == set(SIGNALS)
        assert 0.0 <= found["beat_phase"] < 1.0
        assert 0.0 <= found["bar_phase"] < 1.0
        assert 0.0 < found["beat"] <= 1.0


@given(st.lists(st.integers(-(2**62), 2**62), max_size=60))
def test_no_times_however_wild_make_a_fit_raise(times: list[int]) -> None:
    fit = Fit(8, 0.3, 3 * S)
    for at_ns in times:
        fit.add(at_ns)
    assert len(fit) <= 8


def test_a_line_says_when_a_beat_falls() -> None:
    line = Line(S, 4.0, 0.5 * S)
    assert line.when(6.0) == 2 * S
    assert line.beats(2 * S) == 6.0


def test_ears_that_are_not_sure_lead_nobody() -> None:
    ears = Ears()
    ears.hear(Heard(at_ns=S, pulse=Pulse(0.5, 0.0, 0.1), pulse_ns=S))
    assert ears.line(S) is None
