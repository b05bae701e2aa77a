"""The audition: what the guard admits passes, what it holds does not, and the sheet shows both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_adapter import write_tiny_adapter

from vivant.engines.card import Card
from vivant.engines.student import find
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile
from vivant.runtime.adapters.audition import Stage, audition_sheet, spread, stored_ways
from vivant.runtime.adapters.job import guard_hash
from vivant.runtime.frames import Controls, Verdict, VivantError
from vivant.runtime.parameters import parameters_for
from vivant.runtime.tree import Tree

SIZE = (128, 128)
BASE = replace(Tree(parameters_for()).controls(0, 0, SIZE), adapters={})


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage.load("house", "onnxruntime", "int8", SIZE, BASE)
    yield made
    made.close()


def adapter(folder: Path, name: str, alpha: float) -> Path:
    """Random pairs: at a small alpha hardly a change, at a large one nothing of the picture is left."""
    return write_tiny_adapter(folder / f"{name}.safetensors", Card.read(find("house")), alpha=alpha)


def test_an_adapter_that_stays_among_the_admitted_passes(stage: Stage, tmp_path: Path) -> None:
    record, tried = stage.audition(stage.student.fitted(adapter(tmp_path, "calm", 0.02)))
    assert record.passed and record.held == 0 and record.tried == len(tried) > 8
    assert {one.scale for one in tried} == {1.0, 0.5}
    assert record.student == stage.student.hash and record.guard == stage.student.guard_file[1]


def test_an_adapter_that_the_guard_holds_fails_with_the_worst_reason(stage: Stage, tmp_path: Path) -> None:
    record, tried = stage.audition(stage.student.fitted(adapter(tmp_path, "wild", 600.0)))
    assert not record.passed and record.held > record.tried // 2
    worst = min(tried, key=lambda one: one.verdict.score)
    assert record.reason == worst.problem == worst.verdict.reason
    sheet = tmp_path / "sheets" / "wild.png"
    audition_sheet(record, tried, sheet)
    drawn = cv2.imread(str(sheet))
    assert drawn is not None and drawn.shape[1] > 1200 and float(np.std(drawn)) > 20


def test_auditions_leave_no_trace(stage: Stage, tmp_path: Path) -> None:
    calm = stage.student.fitted(adapter(tmp_path, "quiet", 0.02))
    first = stage.audition(calm)[1]
    stage.audition(stage.student.fitted(adapter(tmp_path, "storm", 600.0)))
    again = stage.audition(calm)[1]
    assert all(np.array_equal(one.worn, other.worn) for one, other in zip(first, again, strict=True))


def test_an_adapter_that_paints_one_flat_colour_fails_though_its_latents_are_fine(tmp_path: Path) -> None:
    with_flat = Stage.load("house", "onnxruntime", "int8", SIZE, BASE)
    decode = with_flat.student.decode

    def flat(latent: object, planes: object, controls: Controls) -> object:
        picture = decode(latent, planes, controls)  # type: ignore[arg-type]
        return np.full_like(picture, 90) if controls.adapters else picture

    with_flat.student.decode = flat  # type: ignore[assignment, method-assign]
    try:
        record, _ = with_flat.audition(with_flat.student.fitted(adapter(tmp_path, "calm", 0.02)))
    finally:
        with_flat.close()
    assert not record.passed and "one flat colour" in record.reason


def test_where_the_guard_is_closed_nothing_is_auditioned(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VivantError, match="can be auditioned"), monkeypatch.context() as changed:
        changed.setattr(type(stage.student), "guard_file", (tmp_path / "guard.npz", "0" * 64))
        Stage(stage.student, BASE)
    with pytest.raises(VivantError, match="holds every stored picture"), monkeypatch.context() as changed:
        changed.setattr(Guard, "judge", lambda *_: Verdict())
        Stage(stage.student, BASE)


def test_the_stored_ways_are_the_same_every_time_and_go_through_every_style() -> None:
    ways, again = (stored_ways(SIZE, ("ink", "oil"), BASE) for _ in range(2))
    assert {tuple(way.controls.styles) for way in ways} == {("ink",), ("oil",)}
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(ways, again, strict=True))
    assert [a.controls for a in ways] == [b.controls for b in again]
    assert all(way.pixels.shape == (128, 128, 3) and spread(way.pixels) > 10 for way in ways)


def test_the_guards_of_the_scene_judge_too_and_a_record_holds_for_them_alone(
    stage: Stage, tmp_path: Path
) -> None:
    card = Card.read(find("house"))
    assert card.guard is not None
    broken = GuardFile(tmp_path / "nowhere.npz", "0" * 64)
    with pytest.raises(VivantError, match="can be auditioned"):
        Stage(stage.student, BASE, (broken,))
    assert guard_hash(card, ()) == card.guard.sha256
    assert len({guard_hash(card, of) for of in ((), (broken,), (GuardFile(broken.path, "1" * 64),))}) == 3
