"""The dresser: what it tells of every file that comes, and that nothing a file holds can end it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_adapter import write_tiny_adapter

from vivant.engines.adapter_file import sha256_of
from vivant.engines.card import Card
from vivant.engines.student import find
from vivant.runtime.adapters.auditor import Auditor
from vivant.runtime.adapters.dresser import Dresser, News
from vivant.runtime.adapters.job import DressJob, auditioning_backend
from vivant.runtime.adapters.watch import PATIENCE_NS
from vivant.runtime.parameters import parameters_for
from vivant.runtime.tree import Tree

SIZE = (128, 128)
BASE = replace(Tree(parameters_for()).controls(0, 0, SIZE), adapters={})
Make = Callable[..., tuple[Dresser, list[News]]]


@pytest.fixture
def looks(tmp_path: Path) -> Path:
    folder = tmp_path / "looks"
    folder.mkdir()
    return folder


@pytest.fixture
def job(looks: Path, tmp_path: Path) -> DressJob:
    return DressJob("house", "onnxruntime", "int8", SIZE, BASE, (str(looks),), str(tmp_path / "registry"))


class HeldHere:
    """Auditions in this very process, each held when it is asked for."""

    def __init__(self, job: DressJob) -> None:
        self.auditor, self.over = Auditor(job), list[tuple[str, str]]()

    def ask(self, kept: str) -> None:
        self.over.append((kept, self.auditor.hold(kept)))

    def done(self) -> list[tuple[str, str]]:
        found, self.over = self.over, []
        return found

    def close(self) -> None:
        self.auditor.close()


def told(job: DressJob, *moments_ns: int) -> list[News]:
    """Of a new dresser that looks at these moments."""
    news: list[News] = []
    dresser = Dresser(job, news.append, HeldHere(job))
    for now_ns in moments_ns:
        dresser.step(now_ns)
        while dresser.busy:
            dresser.step(now_ns)
    dresser.close()
    return news


def adapter(path: Path, alpha: float = 0.02, **more: object) -> Path:
    return write_tiny_adapter(path, Card.read(find("house")), alpha=alpha, **more)  # type: ignore[arg-type]


def test_a_good_file_waits_for_its_audition_and_passes(job: DressJob, looks: Path) -> None:
    calm = adapter(looks / "calm.safetensors", host="ink")
    waiting, passed = told(job, 0)
    assert (waiting.state, passed.state) == ("waiting", "passed")
    assert (passed.name, passed.alone, passed.hash) == ("calm", True, sha256_of(calm))
    assert Path(passed.kept).read_bytes() == calm.read_bytes() and Path(passed.kept) != calm


def test_what_passed_before_passes_at_once(
    job: DressJob, looks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(looks / "calm.safetensors")
    told(job, 0)
    monkeypatch.setattr(Auditor, "hold", lambda *_: pytest.fail("it was auditioned before"))
    assert [one.state for one in told(job, 0)] == ["passed"]


def test_what_the_guard_holds_is_quarantined_with_a_sheet_for_good(job: DressJob, looks: Path) -> None:
    adapter(looks / "wild.safetensors", alpha=600.0)
    waiting, held = told(job, 0)
    assert (waiting.state, held.state) == ("waiting", "quarantined")
    assert "held in" in held.reason and Path(held.sheet).stat().st_size > 10_000
    assert [one.state for one in told(job, 0)] == ["quarantined"]


def test_what_does_not_fit_is_refused_with_its_reason_and_the_rest_goes_on(
    job: DressJob, looks: Path
) -> None:
    (looks / "broken.safetensors").write_bytes(b"nothing")
    adapter(looks / "foreign.safetensors", student="other")
    adapter(looks / "a.safetensors", name="twin")
    adapter(looks / "b.safetensors", name="twin")
    adapter(looks / "c.safetensors", name="riso")
    news = {Path(one.path).name: one for one in told(job, 0, PATIENCE_NS)}
    states = {name: one.state for name, one in news.items()}
    assert states == dict.fromkeys(states, "refused") | {"a.safetensors": "passed"}
    assert "cut off" in news["broken.safetensors"].reason
    assert "it was made for other" in news["foreign.safetensors"].reason
    assert "is named 'twin'" in news["b.safetensors"].reason
    assert "is named 'riso'" in news["c.safetensors"].reason


def test_a_file_that_changes_is_another_version_under_the_same_name(job: DressJob, looks: Path) -> None:
    news: list[News] = []
    dresser = Dresser(job, news.append, HeldHere(job))
    for now_ns, alpha in ((0, 0.02), (1, 0.03)):
        adapter(looks / "calm.safetensors", alpha=alpha)
        dresser.step(now_ns)
        dresser.step(now_ns)
    dresser.close()
    passed = [one for one in news if one.state == "passed"]
    assert [one.name for one in passed] == ["calm", "calm"] and passed[0].hash != passed[1].hash


def test_in_a_locked_scene_only_what_is_locked_is_taken(job: DressJob, looks: Path) -> None:
    known = adapter(looks / "known.safetensors")
    adapter(looks / "new.safetensors", alpha=0.03)
    news = told(replace(job, locked=frozenset({sha256_of(known)})), 0)
    assert {one.name: one.state for one in news} == {"known": "passed", "new": "refused"}
    assert "is not in the scene's lock" in next(one.reason for one in news if one.name == "new")


def test_an_audition_that_breaks_refuses_its_adapter_and_no_other(
    job: DressJob, looks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vivant.runtime.adapters.audition import Stage

    audition = Stage.audition

    def broken(self: Stage, fitted: object) -> object:
        if fitted.name == "calm":  # type: ignore[attr-defined]
            raise MemoryError("too large")
        return audition(self, fitted)  # type: ignore[arg-type]

    monkeypatch.setattr(Stage, "audition", broken)
    adapter(looks / "calm.safetensors")
    adapter(looks / "good.safetensors", alpha=0.03)
    last = {one.name: one for one in told(job, 0)}
    assert last["calm"].state == "refused" and "could not be auditioned" in last["calm"].reason
    assert last["good"].state == "passed"


def test_a_registry_that_cannot_be_written_refuses_and_goes_on(job: DressJob, looks: Path) -> None:
    Path(job.registry).write_text("a file where the folder should be")
    adapter(looks / "calm.safetensors")
    (news,) = told(job, 0)
    assert news.state == "refused" and "cannot be kept in" in news.reason


def test_a_student_without_slots_refuses_every_file(job: DressJob, looks: Path) -> None:
    shutil.copy(adapter(looks / "calm.safetensors"), looks / "other.safetensors")
    news = told(replace(job, student="null", backend="null", precision="float"), 0)
    assert {one.state for one in news} == {"refused"}
    assert "takes no adapters" in news[0].reason


def test_auditions_run_on_the_processor_whatever_the_show_runs_on() -> None:
    pytest.importorskip("onnxruntime")
    assert auditioning_backend("onnxruntime", "int8") == ("onnxruntime", "int8")
    backend, precision = auditioning_backend("tensorrt", "half")
    assert backend in ("openvino", "onnxruntime") and precision == "float"


def test_a_folder_that_is_away_is_told_with_what_to_do(job: DressJob, looks: Path) -> None:
    news: list[News] = []
    dresser = Dresser(job, news.append, HeldHere(job))
    away = looks.rename(looks.with_name("elsewhere"))
    dresser.step(0)
    away.rename(looks)
    dresser.step(10**9)
    dresser.close()
    assert [one.state for one in news] == ["away", "back"]
    assert "what is worn stays" in news[0].reason
