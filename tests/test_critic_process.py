"""The critic beside the show: what it finds is taken back; whatever goes wrong with it holds."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_classifier import LABELS, write_classifier

from vivant.guardrails.critic import Finding, Plan
from vivant.runtime.critic import CALM_S, Criticism
from vivant.runtime.critic_process import CriticProcess, Word
from vivant.runtime.frames import U8, Judgement, ManualClock, MonotonicClock, Picture, Verdict, VivantError
from vivant.runtime.scene import load_scene

CONTEXT = mp.get_context("spawn")
GOOD, BAD = Finding("red", 0.1, 0.5), Finding("red", 0.9, 0.5)
FRAME_S = 1 / 30


class Hand:
    """Looking, by the hand of the test."""

    def __init__(self) -> None:
        self.asked: list[U8] = []
        self.words: list[Word] = []
        self.restarts = self.given_up = 0

    def ask(self, pixels: U8) -> bool:
        self.asked.append(pixels)
        return True

    def said(self) -> list[Word]:
        words, self.words = self.words, []
        return words

    def give_up(self) -> None:
        self.given_up += 1

    def says(self, finding: Finding | None, problem: str = "") -> None:
        self.words.append(Word(finding, problem))


class Room:
    """A critic with a clock, and pictures that come one after the other, each of its own grey."""

    def __init__(self, every: int = 3, limit_s: float = 0.5) -> None:
        self.hand, self.clock = Hand(), ManualClock(10**9)
        self.critic = Criticism(self.hand, every, limit_s)
        self.serial = 0

    def comes(self, admitted: bool = True) -> Picture | None:
        self.clock.advance_s(FRAME_S)
        self.serial += 1
        pixels = np.full((8, 8, 4), self.serial, np.uint8)
        verdict = Verdict(Judgement.PASS if admitted else Judgement.HOLD, 1.0, "guard")
        picture = Picture(pixels, self.serial, verdict, self.clock.ns, self.clock.ns)
        return self.critic.judged(picture, self.clock.now_ns())

    def waits(self, seconds: float) -> Picture | None:
        self.clock.advance_s(seconds)
        return self.critic.judged(None, self.clock.now_ns())

    def begins(self) -> None:
        """The first picture passes."""
        self.comes()
        self.hand.says(GOOD)
        assert shows(self.comes()) == self.serial


def shows(picture: Picture | None) -> int | None:
    """Which picture may be drawn."""
    if picture is None or not picture.verdict.admits:
        return None
    return int(picture.pixels[0, 0, 0])


def test_nothing_is_shown_before_its_first_word() -> None:
    room = Room()
    assert [shows(room.comes()) for _ in range(4)] == [None] * 4
    assert room.critic.holding
    room.hand.says(GOOD)
    assert shows(room.comes()) == 5


def test_every_nth_picture_is_looked_at_and_the_others_wait_for_nobody() -> None:
    room = Room(every=3)
    room.begins()
    before = len(room.hand.asked)
    for _ in range(9):
        room.hand.says(GOOD)
        assert shows(room.comes()) == room.serial
    assert len(room.hand.asked) - before == 3


def test_what_it_finds_is_taken_back_and_the_last_picture_that_passed_comes_in_its_place() -> None:
    room = Room(every=1)
    room.begins()
    passed = 1
    while int(room.hand.asked[-1][0, 0, 0]) == passed:
        room.comes()
    room.comes()
    room.hand.says(BAD)
    taken_back = room.comes()
    assert shows(taken_back) == passed
    assert taken_back is not None
    assert taken_back.verdict.judgement is Judgement.SOFTEN
    assert "taken back by the critic: red 0.90" in taken_back.verdict.reason
    held = room.comes()
    assert held is not None
    assert (held.verdict.judgement, held.pixels.size) == (Judgement.HOLD, 0)
    assert held.verdict.reason == "critic: red 0.90, of 0.5"
    assert held.verdict.score == pytest.approx(0.1)


def test_it_takes_back_also_where_no_new_picture_comes() -> None:
    room = Room(every=1)
    room.begins()
    room.comes()
    room.hand.says(BAD)
    assert shows(room.waits(0.02)) == 1
    assert room.waits(0.02) is None


def test_a_hold_ends_when_pictures_have_passed_for_a_while() -> None:
    room = Room(every=1)
    room.begins()
    room.hand.says(BAD)
    room.comes()
    seen = []
    for _ in range(round((CALM_S + 0.3) / FRAME_S)):
        room.hand.says(GOOD)
        seen.append(shows(room.comes()))
    shown = next(index for index, one in enumerate(seen) if one is not None)
    assert CALM_S <= shown * FRAME_S <= CALM_S + 0.2
    assert None not in seen[shown:]
    assert room.critic.counts()["holds"] == 1
    assert room.critic.counts()["held"] >= shown - 1


def test_a_picture_that_stands_is_looked_at_though_it_is_not_the_nth() -> None:
    room = Room(every=100)
    room.begins()
    room.comes()
    asked = len(room.hand.asked)
    assert room.waits(0.1) is None and len(room.hand.asked) == asked
    assert room.waits(0.3) is None
    assert int(room.hand.asked[-1][0, 0, 0]) == room.serial
    room.hand.says(BAD)
    assert shows(room.waits(0.1)) == 1
    room.waits(1.0)
    assert len(room.hand.asked) == asked + 1, "it is looked at once"


def test_a_picture_that_stood_and_passed_is_not_counted_as_unseen() -> None:
    room = Room(every=100)
    room.begins()
    room.comes()
    room.waits(0.4)
    room.hand.says(GOOD)
    room.waits(0.1)
    room.waits(20.0)
    assert room.comes() is not None
    room.waits(0.4)
    room.hand.says(GOOD)
    room.waits(0.1)
    assert 400 <= room.critic.counts()["longest_unseen_ms"] < 700


def test_an_error_holds_and_is_counted() -> None:
    room = Room(every=1)
    room.begins()
    room.hand.says(None, "RuntimeError: no")
    assert shows(room.comes()) == 1, "the one that passed"
    assert shows(room.comes()) is None
    assert room.critic.counts()["errors"] == 1


def test_an_answer_that_is_late_holds_and_a_lost_one_ends_the_process() -> None:
    room = Room(every=1, limit_s=0.5)
    room.begins()
    assert shows(room.waits(0.4)) is None and not room.critic.holding
    assert shows(room.waits(0.2)) == 1
    assert "no answer in 0.5 s" in room.critic.holding
    room.waits(11)
    assert room.hand.given_up == 1
    assert room.critic.counts()["timeouts"] == 1


def test_where_nothing_ever_passed_it_stays_black() -> None:
    room = Room(every=1)
    room.comes()
    room.hand.says(BAD)
    assert shows(room.comes()) is None
    assert shows(room.waits(0.1)) is None


def test_what_the_guard_holds_is_not_looked_at() -> None:
    room = Room(every=1)
    room.begins()
    asked = len(room.hand.asked)
    room.hand.says(GOOD)
    held = room.comes(admitted=False)
    assert held is not None
    assert held.verdict.reason == "guard"
    assert len(room.hand.asked) == asked


def test_its_latency_is_measured_and_how_long_pictures_were_shown_unseen() -> None:
    room = Room(every=1)
    room.begins()
    room.waits(0.2)
    room.hand.says(GOOD)
    room.waits(0.0)
    counts = room.critic.counts()
    assert counts["looked"] == 2
    assert counts["latency"]["max_ms"] == pytest.approx(200, abs=40)
    assert counts["longest_unseen_ms"] >= 200
    assert room.critic.status()["critic_ms"] > 0


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., CriticProcess]]:
    running: list[CriticProcess] = []

    def start(plan: Plan | None = None) -> CriticProcess:
        plan = plan or Plan(write_classifier(tmp_path / "c.onnx"), LABELS, {"red": 0.5}, (32, 32))
        running.append(CriticProcess(CONTEXT, plan, MonotonicClock()))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.close()


def heard(process: CriticProcess) -> Word:
    """The next word; fails after a while without."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        words = process.said()
        if words:
            return words[0]
        time.sleep(0.005)
    raise AssertionError("the critic said nothing")


def test_a_real_classifier_looks_in_a_process_of_its_own_and_one_that_was_killed_is_followed(
    process: Callable[..., CriticProcess],
) -> None:
    looking = process()
    looking.wait_until_ready()
    red, grey = (np.full((64, 48, 4), colour, np.uint8) for colour in ((230, 0, 0, 255), (99, 99, 99, 255)))
    answers = []
    for pixels in (red, grey):
        assert looking.ask(pixels)
        answers.append(heard(looking).finding)
    assert [one is not None and one.forbidden for one in answers] == [True, False]
    (child,) = [one for one in mp.active_children() if one.name == "vivant-critic"]
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    assert "exit code -9" in heard(looking).problem
    assert not looking.ask(grey)
    until = time.monotonic() + 30
    while not looking.ask(grey):
        assert time.monotonic() < until
        looking.said()
        time.sleep(0.01)
    assert heard(looking).finding is not None
    assert looking.restarts == 1


def test_a_wrong_file_is_an_error_before_the_show(
    process: Callable[..., CriticProcess], tmp_path: Path
) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no")
    looking = process(Plan(tmp_path / "no.onnx", LABELS, {"red": 0.5}))
    with pytest.raises(VivantError, match="no model that onnxruntime runs"):
        looking.wait_until_ready()


def scene(tmp_path: Path, text: str) -> Path:
    write_classifier(tmp_path / "c.onnx")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    path = tmp_path / "scene.toml"
    path.write_text('title = "x"\n[guard.critic]\n' + text)
    return path


def test_a_scene_names_its_critic(tmp_path: Path) -> None:
    text = 'file = "c.onnx"\nlabels = "labels.txt"\nsize = [32, 32]\n[guard.critic.forbidden]\nred = 0.5\n'
    table = load_scene(scene(tmp_path, text)).guard.critic
    assert table is not None
    assert table.plan() == Plan(tmp_path / "c.onnx", LABELS, {"red": 0.5}, (32, 32))
    assert table.paths == (tmp_path / "c.onnx", tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('file = "d.onnx"\nlabels = "labels.txt"\nforbidden = {red = 0.5}', "there is no file"),
        ('file = "c.onnx"\nlabels = "labels.txt"\nforbidden = {rad = 0.5}', "did you mean 'red'"),
        ('file = "c.onnx"\nlabels = ["a", "b"]\nforbidden = {}', "at least 1 item"),
        ('file = "c.onnx"\nlabels = ["a"]\nforbidden = {a = 2.0}', "less than or equal to 1"),
        ('file = "c.onnx"\nlabels = ["a"]\nforbidden = {a = 1}\nstd = [1, 0, 1]', "above 0"),
        ('file = "c.onnx"\nlabels = ["a"]\nforbidden = {a = 1}\nevry = 2', "did you mean 'every'"),
    ],
)
def test_what_is_wrong_with_it_is_said_at_load(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(VivantError, match=words):
        load_scene(scene(tmp_path, text))
