"""A picture keeps still where what it was painted from does, and nowhere else."""

from __future__ import annotations

import numpy as np

from vivant.engines.slots import CHANNELS, block
from vivant.runtime.frames import U8, Controls, Latent
from vivant.runtime.still import CELL, CODE_MOVED, GUIDE_MOVED, REACH, SHARE, Still

CELLS = 16
SIDE = 8 * CELLS
HALF = 0.5
MIDDLE = CELLS // 2
FAR = len(REACH) // 2


def latent() -> Latent:
    rng = np.random.default_rng(3)
    code = rng.standard_normal((1, 16, CELLS, CELLS), dtype=np.float32)
    return Latent(code, rng.random((1, 1, CELL * CELLS, CELL * CELLS), dtype=np.float32))


def planes() -> U8:
    shape = (1, CELL * CELLS, CELL * CELLS, CHANNELS)
    return np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)


def picture(level: int) -> U8:
    return np.full((SIDE, SIDE, 4), level, np.uint8)


def kept(still: Still, level: int, seen: Latent, textures: U8 | None, smooth: float = HALF) -> U8:
    return still.keep(picture(level), seen, textures, Controls(), smooth).copy()


def cell(shown: U8, row: int, column: int) -> U8:
    return shown[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]


def begun(seen: Latent, textures: U8 | None) -> Still:
    still = Still()
    assert (kept(still, 100, seen, textures) == 100).all()
    return still


def test_where_nothing_changes_pictures_are_averaged() -> None:
    seen, textures = latent(), planes()
    still, share = begun(seen, textures), SHARE**HALF
    wanted = 100.0
    for level in (140, 60, 140, 60):
        wanted += (level - wanted) * share
        shown = kept(still, level, seen, textures)
        np.testing.assert_allclose(shown, wanted, atol=1.5)  # rounded each time


def test_rounding_noise_before_a_still_scene_becomes_a_fraction_of_itself() -> None:
    seen, textures, still = latent(), planes(), Still()
    rng = np.random.default_rng(5)
    noisy = [rng.integers(98, 103, (SIDE, SIDE, 4)).astype(np.uint8) for _ in range(12)]
    calm = [still.keep(p, seen, textures, Controls(), HALF).astype(float).copy() for p in noisy]
    before = np.abs(noisy[-1].astype(float) - noisy[-2]).mean()
    assert np.abs(calm[-1] - calm[-2]).mean() < 0.25 * before
    assert np.abs(calm[-1] - 100).mean() < np.abs(noisy[-1].astype(float) - 100).mean()


def test_a_code_that_moves_is_shown_at_once_and_only_round_about() -> None:
    seen, textures = latent(), planes()
    still = begun(seen, textures)
    code = seen.code.copy()
    code[0, 7, MIDDLE, MIDDLE] += 1.1 * CODE_MOVED
    shown = kept(still, 200, Latent(code, seen.guide), textures)
    assert (cell(shown, MIDDLE, MIDDLE) == 200).all()
    assert (cell(shown, MIDDLE, MIDDLE + FAR) == 200).all()
    assert (cell(shown, MIDDLE, MIDDLE + FAR + 1) < 130).all()
    assert (cell(shown, 0, 0) < 130).all()


def test_a_guide_that_moves_is_shown_at_once_and_only_round_about() -> None:
    seen, textures = latent(), planes()
    still = begun(seen, textures)
    guide = seen.guide.copy()
    guide[0, 0, CELL * MIDDLE : CELL * (MIDDLE + 1), :CELL] += 1.1 * GUIDE_MOVED
    shown = kept(still, 200, Latent(seen.code, guide), textures)
    assert (cell(shown, MIDDLE, 0) == 200).all()
    assert (cell(shown, MIDDLE, FAR + 1) < 130).all()


def test_noise_below_a_motion_does_not_count() -> None:
    seen, textures = latent(), planes()
    still = begun(seen, textures)
    near = Latent(seen.code + np.float32(0.9 * CODE_MOVED), seen.guide + np.float32(0.9 * GUIDE_MOVED))
    assert (kept(still, 200, near, textures) < 130).all()


def test_a_texture_that_is_carried_or_turns_is_shown_at_once() -> None:
    seen, textures = latent(), planes()
    still = begun(seen, textures)
    turned = textures.copy()
    turned[0, : CELL * 2, :, block("hatch")] ^= 1
    shown = kept(still, 200, seen, turned)
    assert (cell(shown, 0, 5) == 200).all()
    assert (cell(shown, CELLS - 1, 5) < 130).all()


def test_form_planes_may_waver() -> None:
    seen, textures = latent(), planes()
    still = begun(seen, textures)
    wavering = textures.copy()
    wavering[..., block("form")] ^= 1
    assert (kept(still, 200, seen, wavering) < 130).all()


def test_a_change_of_style_or_adapter_is_shown_at_once() -> None:
    seen, textures, still = latent(), planes(), Still()
    asked = [Controls(), Controls(styles={"oil": 1.0}), Controls(styles={"oil": 1.0}, adapters={"riso": 0.5})]
    for level, controls in zip((100, 150, 200), asked, strict=True):
        assert (still.keep(picture(level), seen, textures, controls, HALF) == level).all()
    repeated = Controls(1, styles={"oil": 1.0}, adapters={"riso": 0.5})  # the same wish in a new snapshot
    again = still.keep(picture(100), seen, textures, repeated, HALF)
    assert (again > 150).all()


def test_without_smoothing_every_picture_is_taken_as_it_is() -> None:
    seen, textures = latent(), planes()
    still = begun(seen, textures)
    own = picture(200)
    assert still.keep(own, seen, textures, Controls(), 0.0) is own
    assert (kept(still, 50, seen, textures) == 50).all()  # and nothing of before is left


def test_a_student_without_guide_and_planes_keeps_still_by_its_code() -> None:
    bare = Latent(latent().code, None)
    still = begun(bare, None)
    assert (kept(still, 200, bare, None) < 130).all()
    assert (kept(still, 200, Latent(-bare.code, None), None) == 200).all()


def test_what_it_was_given_is_left_alone() -> None:
    seen, textures = latent(), planes()
    still = begun(seen, textures)
    own = picture(200)
    still.keep(own, seen, textures, Controls(), HALF)
    assert (own == 200).all()
