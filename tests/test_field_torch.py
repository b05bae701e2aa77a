"""The planes as torch operations are those of the show."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'vivant[torch]'")

from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.field import PlaneField  # noqa: E402
from vivant.engines.field_torch import ASKED, TorchPlaneField  # noqa: E402
from vivant.engines.slots import GROUPS, ORIENTED, RECIPES, block  # noqa: E402
from vivant.runtime.frames import F32  # noqa: E402

pytestmark = pytest.mark.torch
SIZE = (160, 128)


def guide_of(turn: float) -> F32:
    y, x = np.mgrid[0 : SIZE[1] // 2, 0 : SIZE[0] // 2] / 20
    return (0.5 + 0.3 * np.sin(x * 3 + turn) * np.cos(y * 2 - x))[None, None].astype(np.float32)


@pytest.mark.parametrize("style", list(RECIPES))
def test_every_style_has_the_planes_that_the_show_has(style: str) -> None:
    plain, other = PlaneField(SIZE, 3), TorchPlaneField(SIZE, 3, "cpu")
    for turn in (0.0, 0.3, 0.6):
        wanted = plain.update(guide_of(turn), {style: 1.0}, hold=0.8, carry=0.0)
        made = other.update(torch.from_numpy(guide_of(turn)), {style: 1.0}, hold=0.8).numpy()
    form = block("form")
    apart = np.abs(made[..., form].astype(int) - wanted[..., form])
    assert apart.max() <= 2  # OpenCV rounds its enlargement in fixed point
    for group in GROUPS:
        same = (made[..., block(group)] == wanted[..., block(group)]).all(-1).mean()
        # a block on the border between two orientations may fall to either
        assert same > 0.9 if group in ORIENTED else same == 1.0


def test_a_blend_leaves_no_residue_and_the_buffer_stays() -> None:
    field = TorchPlaneField(SIZE, 3, "cpu")
    guide = torch.from_numpy(guide_of(0.0))
    first = field.update(guide, {"mosaic": 0.5, "engraving": 0.5})
    assert field.update(guide, {"ink": 1.0}) is first
    assert (first[..., block("cell")] == 128).all()


@pytest.mark.parametrize("style", ["oil", "filaments"])
def test_what_moves_carries_its_texture_along_where_the_shift_says(style: str) -> None:
    """Oriented blocks as in test_every_style."""
    plain, other = PlaneField(SIZE, 3), TorchPlaneField(SIZE, 3, "cpu")
    moved = np.zeros((SIZE[1] // 2, SIZE[0] // 2, 2), np.int64)
    moved[10:40, 5:50] = (3, -2)
    plain._motion.follow = lambda guide, carry: moved
    other.shift.copy_(torch.from_numpy(moved))
    wanted = plain.update(guide_of(0.1), {style: 1.0})
    made = other.update(torch.from_numpy(guide_of(0.1)), {style: 1.0}).numpy()
    for group in ("stroke", "hatch", "grain", "canvas"):
        same = (made[..., block(group)] == wanted[..., block(group)]).all(-1).mean()
        assert same > 0.9 if group in ORIENTED else same == 1.0


def test_numbers_alone_change_the_style_so_one_graph_serves_all() -> None:
    field = TorchPlaneField(SIZE, 3, "cpu", ("ink", "mosaic", "stipple"))
    guide, asked = torch.from_numpy(guide_of(0.2)), torch.zeros(ASKED)
    for style in ("mosaic", "stipple", "ink", "mosaic"):
        asked.copy_(torch.from_numpy(field.ask({style: 1.0})))
        field.put(guide, asked)
        wanted = TorchPlaneField(SIZE, 3, "cpu").update(guide, {style: 1.0})
        assert torch.equal(field.planes, wanted)
    with pytest.raises(EngineError, match="made ready without 'hatch'"):
        field.ask({"engraving": 1.0})


def test_a_field_that_forgot_owes_nothing_to_what_came_before() -> None:
    field, fresh = (TorchPlaneField(SIZE, 3, "cpu", ("ink",)) for _ in range(2))
    field.update(torch.from_numpy(guide_of(2.0)), {"ink": 1.0}, hold=0.9)
    field.forget()
    guide = torch.from_numpy(guide_of(0.0))
    assert torch.equal(field.update(guide, {"ink": 1.0}, 0.9), fresh.update(guide, {"ink": 1.0}, 0.9))
