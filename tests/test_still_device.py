"""Pictures are kept still on a device as they are on the processor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'vivant[torch]'")

from test_still import CELLS, HALF, SIDE, latent, planes  # noqa: E402

from vivant.engines.slots import CHANNELS, block  # noqa: E402
from vivant.runtime.frames import Controls, Latent  # noqa: E402
from vivant.runtime.still import CELL, CODE_MOVED, GUIDE_MOVED, SHARE, Still  # noqa: E402
from vivant.runtime.still_device import DeviceStill  # noqa: E402

pytestmark = pytest.mark.torch
BLOCKS = CELL * CELLS


class Pair:
    """The same pictures to both. `guided` as a house student, else as a diffusion student."""

    def __init__(self, guided: bool = True) -> None:
        self.guided, self.still = guided, Still()
        guide = (1, 1, BLOCKS, BLOCKS) if guided else None
        textures = (1, BLOCKS, BLOCKS, CHANNELS) if guided else None
        code = (1, 16, CELLS, CELLS)
        self.device = DeviceStill((1, SIDE, SIDE, 4), code, guide, textures, torch.device("cpu"))
        self.began = False

    def keep(self, picture: Any, seen: Latent, textures: Any, admitted: bool = True) -> Any:
        """What is shown, the same from both within a level."""
        share = SHARE**HALF if self.began else 1.0
        textures = textures if self.guided else None
        chosen = SimpleNamespace(
            code=torch.from_numpy(seen.code),
            guide=torch.from_numpy(seen.guide) if self.guided else None,
            numbers=torch.tensor([float(admitted)]),
        )
        given = torch.from_numpy(picture)[None]
        on_device = None if textures is None else torch.from_numpy(textures)
        self.device.keep(given, chosen, on_device, torch.tensor(share))
        if admitted:
            self.began = True
            bare = Latent(seen.code, seen.guide if self.guided else None)
            self.shown = self.still.keep(picture, bare, textures, Controls(), HALF).copy()
        found = self.device.picture[0].numpy().copy()
        assert np.abs(found.astype(int) - self.shown).max() <= 1  # what lies between two levels
        return found


def noisy(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 4)).astype(np.uint8)


@pytest.mark.parametrize("guided", [True, False])
def test_where_nothing_changes_pictures_are_averaged_alike(guided: bool) -> None:
    pair, seen, textures = Pair(guided), latent(), planes()
    shown = [pair.keep(noisy(seed), seen, textures) for seed in range(8)]
    assert (
        np.abs(shown[-1].astype(int) - shown[-2]).mean()
        < 0.5 * np.abs(shown[0].astype(int) - noisy(1)).mean()
    )


@pytest.mark.parametrize("what", ["code", "guide", "hatch", "form"])
def test_what_moves_is_shown_at_once_round_about_alike(what: str) -> None:
    pair, seen, textures = Pair(), latent(), planes()
    pair.keep(noisy(0), seen, textures)
    code, guide, turned = seen.code.copy(), seen.guide.copy(), textures.copy()
    middle = CELLS // 2
    if what == "code":
        code[0, 7, middle, 0] += 1.1 * CODE_MOVED
    elif what == "guide":
        guide[0, 0, CELL * middle : CELL * (middle + 1), :CELL] += 1.1 * GUIDE_MOVED
    else:
        turned[0, CELL * middle : CELL * (middle + 1), :CELL, block(what)] ^= 1
    shown = pair.keep(noisy(1), Latent(code, guide), turned)
    cell = (slice(8 * middle, 8 * middle + 8), slice(8))
    assert np.array_equal(shown[cell], noisy(1)[cell]) == (what != "form")
    assert not np.array_equal(shown[-8:, -8:], noisy(1)[-8:, -8:])


def test_what_was_not_admitted_leaves_it_as_it_was() -> None:
    pair, seen, textures = Pair(), latent(), planes()
    before = pair.keep(noisy(0), seen, textures)
    other = Latent(-seen.code, seen.guide)
    assert np.array_equal(pair.keep(noisy(1), other, textures, admitted=False), before)
    pair.keep(noisy(2), seen, textures)
