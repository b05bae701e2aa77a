"""Prompt embeddings: blended, travelled through, and kept by hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.prompts import Prompt, Way, blend, kept, travel


def prompt(seed: int) -> Prompt:
    rng = np.random.default_rng(seed)
    return Prompt(rng.standard_normal((1, 5, 8), np.float32), rng.standard_normal((1, 6), np.float32))


def same(a: Prompt, b: Prompt, atol: float = 1e-6) -> bool:
    assert a.pooled is not None and b.pooled is not None
    return np.allclose(a.tokens, b.tokens, atol=atol) and np.allclose(a.pooled, b.pooled, atol=atol)


def test_linear_blending_is_the_weighted_mean_whatever_the_weights_sum_to() -> None:
    a, b, c = (prompt(i) for i in range(3))
    made = blend([a, b, c], [2.0, 1.0, 1.0])
    np.testing.assert_allclose(made.tokens, (2 * a.tokens + b.tokens + c.tokens) / 4, atol=1e-6)
    assert same(blend([a, b], [0.0, 3.0]), b)


@pytest.mark.parametrize("way", ["linear", "slerp"])
def test_travel_meets_every_prompt_and_stops_at_the_ends(way: Way) -> None:
    stops = [prompt(i) for i in range(3)]
    for index, stop in enumerate(stops):
        assert same(travel(stops, float(index), way), stop)
        assert same(travel(stops, index + 1e-7, way), stop, atol=1e-5)
    assert same(travel(stops, -1.0, way), stops[0]) and same(travel(stops, 9.0, way), stops[2])
    assert same(travel(stops[:1], 0.7, way), stops[0])


def test_slerp_keeps_lengths_where_a_line_cuts_the_corner() -> None:
    a, b = (Prompt(np.eye(8, dtype=np.float32)[None, i : i + 1] * 3) for i in (0, 1))
    arc, line = (blend([a, b], [1.0, 1.0], way) for way in ("slerp", "linear"))
    assert float(np.linalg.norm(arc.tokens)) == pytest.approx(3.0, abs=1e-5)
    assert float(np.linalg.norm(line.tokens)) == pytest.approx(3.0 / np.sqrt(2), abs=1e-5)
    opposite = blend([a, Prompt(-a.tokens)], [1.0, 1.0], "slerp")
    assert np.isfinite(opposite.tokens).all()


def test_nothing_to_blend_or_travel_is_said() -> None:
    with pytest.raises(EngineError, match="above zero"):
        blend([prompt(0)], [0.0])
    with pytest.raises(EngineError, match="no prompt"):
        travel([], 0.5)


def test_an_embedding_is_made_once_for_each_text_and_encoder(tmp_path: Path) -> None:
    asked: list[str] = []

    def make(text: str) -> Prompt:
        asked.append(text)
        return prompt(len(text))

    first = kept(tmp_path, "encoders-1", "a fox", make)
    assert same(kept(tmp_path, "encoders-1", "a fox", make), first) and asked == ["a fox"]
    kept(tmp_path, "encoders-2", "a fox", make)
    kept(tmp_path, "encoders-1", "a wolf", make)
    assert asked == ["a fox", "a fox", "a wolf"]
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    assert same(kept(tmp_path, "encoders-1", "a fox", make), first) and len(asked) == 4
    assert not list(tmp_path.glob("*.part"))
    plain = Prompt(first.tokens)
    assert kept(tmp_path, "other", "x", lambda text: plain).pooled is None
    assert kept(tmp_path, "other", "x", make).pooled is None
