"""The policy of the flash guard in a closed loop: what it lets through has two flashes and a half at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from flash_sequences import FIELD, HZ, SEQUENCES, Sequence, alternating, patch, watched, whole

from vivant.guardrails.flash import ADVISORY, COLUMNS, MOST_TRANSITIONS, ROWS
from vivant.guardrails.flash_damping import FREE, Damping, spread
from vivant.runtime.frames import F32

REDNESS, RISE = 1.6, 0.25  # as in shaders/flash_damp.frag


def redness(light: F32) -> F32:
    return light[..., 0] - light[..., 1] - light[..., 2]


def moved(last: F32, new: F32, limits: F32) -> F32:
    """What shaders/flash_damp.frag does to a cell of even colour."""
    change = new - last
    furthest = np.abs(change).max(-1)
    red = np.maximum(redness(new), redness(last)) > 0
    furthest = np.where(red, np.maximum(furthest, REDNESS * np.abs(redness(change))), furthest)
    rises = change @ np.array([0.2126, 0.7152, 0.0722], np.float32) > 0
    most = np.where(rises, RISE, 1.0) * limits[..., 0]
    share = np.minimum(np.minimum(1.0, most / np.maximum(furthest, 1e-6)), limits[..., 1])
    return (last + share[..., None] * change).astype(np.float32)


def guarded(frames: Iterable[F32], damping: Damping, hz: int = HZ) -> Iterator[F32]:
    """The cells that are shown, when what is drawn is known one refresh later."""
    shown: F32 | None = None
    drawn: tuple[F32, int] | None = None
    for index, light in enumerate(frames):
        now_ns = index * 1_000_000_000 // hz
        if drawn is not None:
            damping.see(*drawn)
        limits = damping.step(now_ns)
        shown = light if shown is None or not damping.active else moved(shown, light, limits)
        drawn = (light, now_ns)
        yield shown


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
def test_what_is_shown_of_any_sequence_passes(sequence: Sequence) -> None:
    shown = watched(guarded(sequence.frames(), Damping(FIELD)))
    assert max(most for kind, most in shown.items() if kind not in ADVISORY) <= MOST_TRANSITIONS


def test_what_only_the_older_definition_calls_red_is_left_alone() -> None:
    [sequence] = [one for one in SEQUENCES if one.name == "saturated red, R - G - B changes by 21/320"]
    frames = list(sequence.frames())
    assert all(shown is frame for shown, frame in zip(guarded(frames, Damping(FIELD)), frames, strict=True))


@pytest.mark.parametrize("hz", [24, 60, 144])
@pytest.mark.parametrize("flashes_hz", [2.6, 7.3, 30])
def test_the_third_flash_of_a_strobe_is_never_complete(hz: int, flashes_hz: float) -> None:
    frames = alternating(whole(0.05), whole(0.95), min(flashes_hz, hz / 2), 2.0, hz)
    assert watched(guarded(frames, Damping(FIELD), hz), hz=hz)["general"] == 5


@pytest.mark.parametrize("seed", range(3))
def test_bursts_at_random_pass(seed: int) -> None:
    noise = np.random.Generator(np.random.Philox(seed))

    def frames() -> Iterator[F32]:
        for _ in range(10):
            one, other = (whole(tuple(noise.uniform(0, 1, 3) ** 2)) for _ in range(2))
            yield from alternating(one, other, float(noise.uniform(2, 25)), float(noise.uniform(0.1, 0.9)))
            yield from [one] * int(noise.integers(0, 60))

    assert max(watched(frames()).values()) > MOST_TRANSITIONS
    assert max(watched(guarded(frames(), Damping(FIELD))).values()) <= MOST_TRANSITIONS


@pytest.mark.parametrize(
    "name",
    [
        "2 a second, whole screen, 0.1 to 0.9",
        "a wipe in eight bands",
        "fade there and back, 2 s",
        "one cut",
        "red and black, 2 a second",
    ],
)
def test_what_is_allowed_with_room_to_spare_is_not_touched(name: str) -> None:
    frames = list(next(one for one in SEQUENCES if one.name == name).frames())
    damping = Damping(FIELD)
    assert all(one is other for one, other in zip(guarded(frames, damping), frames, strict=True))
    assert damping.engaged == 0


def test_a_beat_of_120_a_minute_with_some_jitter_is_not_touched() -> None:
    noise = np.random.Generator(np.random.Philox(1))
    damping, at_ns = Damping(FIELD), 0
    for index in range(40):
        damping.see(whole(0.8 if index % 2 else 0.1), at_ns)
        damping.step(at_ns)
        at_ns += 250_000_000 + int(noise.integers(-12_000_000, 12_000_000))
    assert damping.engaged == 0


def test_only_the_cells_that_flash_are_held_and_their_rim() -> None:
    damping = Damping(FIELD)
    for _ in guarded(alternating(whole(0.1), patch(0.9, 12, 14, 0.1, 10, 20), 10), damping):
        pass
    limits = damping.step(2_000_000_000)
    assert (limits[10:22, 20:34, 0] < 0.01).all()
    assert (limits[:7, :, 0] == FREE).all()
    assert (limits[..., 1] == 1.0).all()  # nothing red flashed
    assert 0.06 < damping.share < 0.08
    assert damping.why == ("general",)


def test_damping_lasts_as_long_as_the_strobe_and_is_then_released() -> None:
    damping = Damping(FIELD)
    frames = [*alternating(whole(0.1), whole(0.9), 10, 3.0), *[whole(0.9)] * (3 * HZ)]
    active = [damping.active for _ in guarded(frames, damping)]
    assert all(active[HZ // 2 : 3 * HZ])
    assert not active[-1]
    assert damping.engaged == 1
    assert 4.0 < damping.damped_s < 5.5


def test_levels_spread_without_losing_any_inside() -> None:
    levels = np.zeros((ROWS, COLUMNS, 2), np.float32)
    levels[10:20, 10:20, 0] = 1.0
    wide = spread(levels)
    assert (wide[10:20, 10:20, 0] == 1.0).all()
    assert wide[8, 15, 0] > 0
    assert wide[5, 15, 0] == 0
    assert (wide[..., 1] == 0).all()
