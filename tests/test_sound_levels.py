"""Loudness: decibels, bands, a room's own ceiling, attack and release, silence."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.runtime.frames import F32
from vivant.runtime.sound.hearing import Heard, Hearing, Manner
from vivant.runtime.sound.levels import Followers, Levels, in_db
from vivant.runtime.sound.spectrum import Framing, Spectrum, band_filters, note_filters, window_for

RATE = 44_100
PLAIN = Manner(attack_s=0.0, release_s=0.01, adaptive=False)


def tone(hz: float, seconds: float = 1.0, loud: float = 1.0) -> F32:
    return (loud * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def last(samples: F32, manner: Manner = PLAIN) -> Heard:
    return Hearing(RATE).hear(samples, 0, manner)[-1]


def test_a_sine_of_full_scale_is_three_decibels_below_it() -> None:
    assert last(tone(1000.0)).level_db == pytest.approx(-3.0, abs=0.1)
    assert last(tone(1000.0, loud=0.1)).level_db == pytest.approx(-23.0, abs=0.1)
    assert in_db(0.0) == -120.0


@pytest.mark.parametrize(("hz", "band"), [(60.0, 0), (500.0, 1), (6000.0, 2)])
def test_a_tone_is_loud_in_its_band_and_nowhere_else(hz: float, band: int) -> None:
    low_mid_high = last(tone(hz)).shares[1:4]
    assert low_mid_high[band] > 0.8
    assert max(np.delete(low_mid_high, band)) < 0.2


def test_eight_bands_go_from_low_to_high() -> None:
    loudest = [int(np.argmax(last(tone(hz)).shares[4:])) for hz in (50, 110, 230, 450, 900, 1800, 3600, 9000)]
    assert loudest == list(range(8))


def test_a_quiet_room_fills_the_range_after_a_while_and_a_loud_one_no_less() -> None:
    adaptive = Manner(attack_s=0.0, release_s=0.01)
    assert last(tone(200.0, 1.0, 0.01), adaptive).shares[0] < 0.3
    assert last(tone(200.0, 50.0, 0.01), adaptive).shares[0] > 0.9
    assert last(tone(200.0, 5.0, 1.0), adaptive).shares[0] > 0.9


def test_the_noise_of_an_empty_room_is_not_made_loud() -> None:
    noise = (0.0002 * np.random.default_rng(0).standard_normal(40 * RATE)).astype(np.float32)
    heard = last(noise, Manner(silence_db=-100.0))
    assert not heard.silent
    assert heard.shares[0] < 0.3


def test_gain_moves_a_level_by_its_decibels() -> None:
    plain, louder = (
        last(tone(200.0, loud=0.25)),
        last(tone(200.0, loud=0.25), Manner(6.0, 0.0, 0.01, -55.0, False)),
    )
    assert louder.shares[0] - plain.shares[0] == pytest.approx(6.0 / 24.0, abs=0.01)


def test_values_go_up_with_the_attack_and_down_with_the_release() -> None:
    followers = Followers(1)
    one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
    for _ in range(10):
        followers.step(one, 0.1, 1.0)
    assert followers.values[0] == pytest.approx(1 - np.exp(-1.0), abs=0.01)
    followers.values = one
    for _ in range(100):
        followers.step(none, 0.1, 1.0)
    assert followers.values[0] == pytest.approx(np.exp(-1.0), abs=0.01)


def test_silence_begins_after_a_second_and_ends_at_once() -> None:
    hearing = Hearing(RATE)
    hearing.hear(tone(300.0), 0, PLAIN)
    quiet = hearing.hear(np.zeros(RATE * 2, np.float32), 0, PLAIN)
    assert [one.silent for one in quiet].index(True) == pytest.approx(100, abs=3)
    assert not hearing.hear(tone(300.0, 0.05), 0, PLAIN)[-1].silent


def test_frames_overlap_and_none_is_lost_between_blocks() -> None:
    samples, framing = np.arange(5000, dtype=np.float32), Framing(RATE)
    ends = []
    for begin in range(0, 5000, 130):
        block = samples[begin : begin + 130]
        for frame, after in framing.push(block):
            ends.append(int(frame[-1]))
            assert frame[-1] == block[-1] - after
            assert np.all(np.diff(frame[-400:]) == 1)
    assert ends == list(range(440, 5000, 441))


def test_a_block_longer_than_a_frame_is_cut_into_several() -> None:
    assert len(Framing(RATE).push(np.zeros(10 * 441 + 5, np.float32))) == 10


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100, 48_000, 192_000])
def test_every_filter_holds_a_bin(rate_hz: int) -> None:
    assert np.all(note_filters(rate_hz).sum(axis=0) > 0)
    assert np.all(band_filters(rate_hz, (20.0, 150.0, 2000.0, 0.45 * rate_hz)).sum(axis=0) > 0)
    assert np.all(np.isfinite(Levels(rate_hz, 150.0, 2000.0).ceilings.db))


def test_a_sine_of_full_scale_has_a_magnitude_of_one() -> None:
    window = window_for(RATE)
    assert window == window_for(48_000) == 1024
    assert Spectrum(RATE).of(tone(40 * RATE / window)[:window]).max() == pytest.approx(1.0, abs=0.02)
