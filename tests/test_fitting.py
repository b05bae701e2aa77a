"""`vivant adapters fit`, as a person uses it, upon the student that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_adapter import write_tiny_adapter
from typer.testing import CliRunner

from vivant.cli.app import app
from vivant.engines.adapter import read_adapter
from vivant.engines.adapter_fit import reduced_adapter
from vivant.engines.card import Card
from vivant.engines.contract import EngineError
from vivant.engines.kinds import rank_of
from vivant.engines.student import find
from vivant.runtime.frames import VivantError

RUNNER = CliRunner()


@pytest.fixture
def card() -> Card:
    return Card.read(find("house"))


@pytest.fixture
def wide(tmp_path: Path, card: Card) -> Path:
    rank = rank_of(card) + 4
    return write_tiny_adapter(tmp_path / "wide.safetensors", card, rank, alpha=2.0 * rank)


def ran(*arguments: object) -> str:
    result = RUNNER.invoke(app, ["adapters", "fit", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_file_that_is_refused_for_its_rank_is_worn_after_the_command_that_the_refusal_names(
    wide: Path, card: Card
) -> None:
    with pytest.raises(EngineError, match="Run: vivant adapters fit FILE --student house"):
        read_adapter(wide, card)
    said = ran(wide)
    place = wide.with_name(f"wide-rank{rank_of(card)}.safetensors")
    assert str(place) in said and "in the median" in said
    adapter = read_adapter(place, card)
    assert adapter.info.name == "wide" and adapter.info.rank == rank_of(card)


def test_what_is_written_is_the_nearest_change_of_that_rank_with_its_alpha(
    wide: Path, card: Card, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    lost = reduced_adapter(wide, card, 3, tmp_path / "three.safetensors")
    before, after = load_file(wide), load_file(tmp_path / "three.safetensors")
    names = sorted(name for name in before if "lora_A" in name)
    assert len(names) == len(lost)
    for down in names[:3]:
        up = down.replace("lora_A", "lora_B")
        u, s, v = np.linalg.svd(2.0 * before[up] @ before[down], full_matrices=False)
        np.testing.assert_allclose(after[up] @ after[down], (u[:, :3] * s[:3]) @ v[:3], atol=1e-4)
        layer = down.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        assert lost[layer] == pytest.approx(np.linalg.norm(s[3:]) / np.linalg.norm(s), rel=1e-3)


def test_nothing_is_overwritten_and_no_rank_is_written_that_would_not_fit(wide: Path, card: Card) -> None:
    with pytest.raises(VivantError, match="there already"):
        ran(wide, "--out", wide)
    with pytest.raises(VivantError, match=f"a slot of house holds {rank_of(card)}"):
        ran(wide, "--rank", 99)
    with pytest.raises(VivantError, match="cannot be written"):
        ran(wide, "--out", wide.parent / "nowhere" / "a.safetensors")
    with pytest.raises(VivantError, match="no safetensors file that can be read"):
        ran(wide.with_name("gone.safetensors"))
