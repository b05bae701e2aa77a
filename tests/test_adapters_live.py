"""In the present process: the tree grows when an adapter hangs, and everybody who listens is told."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tiny_adapter import write_tiny_adapter

from vivant.engines.adapter_file import sha256_of
from vivant.engines.card import Card
from vivant.engines.student import find
from vivant.runtime.adapters.dresser import News
from vivant.runtime.adapters.fitting import Fit, Hung
from vivant.runtime.adapters.job import DressJob
from vivant.runtime.adapters.live import ANOTHER_NS, DresserProcess, LiveAdapters, Opening, opening
from vivant.runtime.adapters.registry import Record, Registry
from vivant.runtime.frames import ManualClock, Value
from vivant.runtime.parameters import CHOOSE, AdapterSketch, adapter_parameter, parameters_for
from vivant.runtime.render import Job
from vivant.runtime.scene import load_scene
from vivant.runtime.supervise import Hello
from vivant.runtime.tree import Tree

JOB = Job(
    "performer", "house", "onnxruntime", "int8", 1, 0, Tree(parameters_for()).controls(0, 0, (128, 128))
)
CALM = News("passed", "/looks/calm.safetensors", "calm", "h1", "/kept/calm.safetensors", "calm sea", True)
SECOND = 1_000_000_000


@dataclass
class Line:
    """Both ends of what the present process hears and says, as lists."""

    news: list[News] = field(default_factory=list)
    words: list[Any] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    job: Job = JOB
    hello: Hello | None = field(default_factory=lambda: Hello({}))

    def heard(self) -> list[News]:
        found, self.news = self.news, []
        return found

    def said(self) -> list[Any]:
        found, self.words = self.words, []
        return found

    def tell(self, word: Any) -> bool:
        self.told.append(word)
        return True

    def stop(self) -> None:
        self.news.clear()


class Show:
    """LiveAdapters between the two lines, a second at a time."""

    def __init__(self, begun: Opening | None = None) -> None:
        self.line, self.tree, self.now_ns = Line(), Tree(parameters_for()), 0
        self.heard: list[tuple[str, tuple[Value, ...]]] = []
        line: Any = self.line
        self.live = LiveAdapters(line, line, self.tree, begun or Opening(), self.tell)

    def tell(self, address: str, args: Sequence[Value]) -> None:
        self.heard.append((address, tuple(args)))

    def step(self, *, news: Sequence[News] = (), words: Sequence[Hung] = ()) -> None:
        self.line.news += news
        self.line.words += words
        self.now_ns += SECOND
        self.live.step(self.now_ns)


def test_an_adapter_becomes_a_parameter_once_it_hangs() -> None:
    show = Show()
    show.step(news=[replace(CALM, state="waiting"), CALM])
    assert show.line.told == [Fit(CALM.kept)]
    assert "/vivant/adapter/calm" not in show.tree.parameters and show.live.worn == {}
    assert show.tree.absent == {"/vivant/adapter/calm": "waiting"}
    show.step(words=[Hung(CALM.kept, "calm", "h1")])
    assert show.tree.value("/vivant/adapter/calm") == 0.0 and show.tree.absent == {}
    assert show.tree.parameters[CHOOSE].choices[-1] == "calm"
    assert show.live.worn == {"calm": "h1"} and show.line.job.adapters == (CALM.kept,)
    assert show.heard == [
        ("/vivant/adapters/state", ("calm", "waiting", "")),
        ("/vivant/adapters/state", ("calm", "ready", "")),
    ]


def test_a_refused_file_is_told_counted_and_no_parameter() -> None:
    show = Show()
    show.step(news=[News("refused", "/looks/broken.ckpt", reason="x" * 900)])
    show.step(news=[replace(CALM, state="quarantined", reason="held in 9 of 11 ways")])
    assert show.heard[0] == ("/vivant/adapters/state", ("broken.ckpt", "refused", "x" * 300))
    assert show.heard[1][1] == ("calm", "quarantined", "held in 9 of 11 ways")
    assert show.live.failed == 2 and show.line.told == [] and show.tree.grown == 0
    assert show.tree.absent == {"/vivant/adapter/calm": "quarantined"}, "and so is who asks for it"


def test_who_puts_on_what_cannot_be_worn_is_told_why_once_each_time() -> None:
    show, address = Show(), "/vivant/adapter/calm"
    show.tree.add(adapter_parameter("calm", AdapterSketch("quiet", False)))  # it lay there at the start
    show.step(news=[replace(CALM, state="quarantined", reason="held in 9 of 11 ways")])
    said = len(show.heard)
    for value in (0.5, 0.7, 0.0, 0.2):
        show.tree.set(address, (value,), show.now_ns, "osc")
        show.tree.tick(show.now_ns + 60 * SECOND)
        show.step()
    assert (
        show.heard[said:] == [("/vivant/adapters/state", ("calm", "quarantined", "held in 9 of 11 ways"))] * 2
    )


def test_what_the_render_process_cannot_wear_is_refused() -> None:
    show = Show()
    noted: list[News] = []
    show.live.note = noted.append
    show.step(news=[CALM])
    show.step(words=[Hung(CALM.kept, problem="its planes are not laid out")])
    assert show.live.failed == 1 and show.tree.grown == 0 and show.line.job.adapters == ()
    assert show.heard == [("/vivant/adapters/state", ("calm", "refused", "its planes are not laid out"))]
    assert [news.state for news in noted] == ["passed", "refused"]


def test_another_version_takes_the_place_of_the_first_and_keeps_its_value() -> None:
    show = Show()
    show.step(news=[CALM])
    show.step(words=[Hung(CALM.kept, "calm", "h1")])
    show.tree.set("/vivant/adapter/calm", (0.5,), 0, "test")
    second = replace(CALM, hash="h2", kept="/kept/2/calm.safetensors")
    show.step(news=[second])
    show.step(words=[Hung(second.kept, "calm", "h2")])
    assert show.live.worn == {"calm": "h2"} and show.tree.grown == 1
    assert show.tree.value("/vivant/adapter/calm") == 0.5
    assert show.line.job.adapters == (second.kept,)
    show.step(news=[second])
    assert show.line.told == [Fit(CALM.kept), Fit(second.kept)]


def test_a_render_process_that_is_new_is_told_again_what_the_last_one_did_not_answer() -> None:
    show = Show()
    show.step()
    show.step(news=[CALM])
    show.line.hello = None
    show.step()
    show.line.hello = Hello({})
    show.step()
    assert show.line.told == [Fit(CALM.kept), Fit(CALM.kept)]
    show.step(words=[Hung(CALM.kept, "calm", "h1"), Hung(CALM.kept, "calm", "h1")])
    assert show.tree.grown == 1


def test_what_was_worn_from_the_start_is_not_asked_for_again() -> None:
    show = Show(Opening({"calm": CALM.kept}, {"calm": "h1"}))
    show.step(news=[CALM])
    assert show.line.told == []


def test_a_show_begins_with_what_passed_and_is_locked(tmp_path: Path) -> None:
    card, registry = Card.read(find("house")), Registry(tmp_path / "registry")
    assert card.guard is not None
    (tmp_path / "looks").mkdir()
    files = {
        name: write_tiny_adapter(tmp_path / "looks" / f"{name}.safetensors", card, seed=seed)
        for seed, name in enumerate(("passed", "held", "new"))
    }
    for name, good in (("passed", True), ("held", False)):
        registry.write(
            Record(
                name=name,
                sha256=sha256_of(files[name]),
                student=card.hash,
                guard=card.guard.sha256,
                passed=good,
                held=0,
                tried=11,
            )
        )
    scene = tmp_path / "tide.toml"
    scene.write_text('title = "Tide"\nadapters = ["looks"]\n')
    begun = opening(load_scene(scene), registry)
    assert begun.hashes == {"passed": sha256_of(files["passed"])}
    assert [Path(path).read_bytes() for path in begun.files.values()] == [files["passed"].read_bytes()]
    assert opening(load_scene(scene), registry, frozenset()) == Opening()


def test_a_dresser_is_a_process_that_tells_and_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "twin.safetensors").write_bytes(b"")
    student = DressJob(
        "null", "null", "float", (64, 64), JOB.controls, (str(tmp_path),), str(tmp_path / "registry")
    )
    clock = ManualClock()
    process = DresserProcess(mp.get_context("spawn"), student, clock)
    try:
        assert process.heard() == []
        first = process._process
        assert first is not None and first.is_alive()
        first.kill()
        first.join()
        assert process.heard() == [] and process._process is None
        assert process.heard() == [] and process._process is None
        clock.ns += ANOTHER_NS
        process.heard()
        assert process._process is not None and process._process is not first
    finally:
        process.stop()
    assert process._process is None


@pytest.mark.parametrize("state", ["waiting", "refused", "quarantined"])
def test_nothing_is_handed_on_that_did_not_pass(state: Any) -> None:
    show = Show()
    show.step(news=[replace(CALM, state=state)])
    assert show.line.told == [] and show.live.worn == {}
