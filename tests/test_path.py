"""The path of one picture, on the null student (numpy alone): what happens when a stage fails."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as File

import numpy as np
import pytest
from tiny_adapter import write_tiny_adapter

from vivant.engines.card import Card
from vivant.engines.student import find
from vivant.guardrails.guard import Guard
from vivant.runtime.adapters.fitting import Fit
from vivant.runtime.exchange import make_lanes
from vivant.runtime.frames import STAGES, U8, Controls, Frame, Judgement, Latent, MonotonicClock, Verdict
from vivant.runtime.path import Path, Paths, Stopwatch, StudentChoice
from vivant.runtime.render import ERRORS_IN_A_ROW, Tally
from vivant.runtime.supervise import RENDER, STAGE

CHOICE = StudentChoice("null", "null", "float", threads=1, seed=0)
SIZE = (128, 128)
CONTROLS = Controls(size_px=SIZE, styles={"mosaic": 1.0})
CLOCK = MonotonicClock()
RENDER_STAGES = set(STAGES) - {"exchange", "present"}


@pytest.fixture
def watch() -> Stopwatch:
    import multiprocessing as mp

    return Stopwatch(CLOCK, make_lanes(mp.get_context("spawn")).pulse)


def frame(serial: int = 1) -> Frame:
    rows, columns = np.mgrid[0:240, 0:320]
    pixels = np.stack([rows % 256, columns % 256, (rows + columns) % 256], -1).astype(np.uint8)
    return Frame(pixels, serial, CLOCK.now_ns())


class Judge:
    """A policy that says what it is told to, or raises."""

    name = "told"

    def __init__(self, answer: Callable[[], Verdict]) -> None:
        self._answer = answer

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        return self._answer()


def fail() -> Verdict:
    raise RuntimeError("the policy broke")


def wait() -> Verdict:
    time.sleep(0.05)
    return Verdict(Judgement.PASS, 1.0, "late")


def test_a_frame_becomes_an_admitted_picture_and_every_stage_is_timed(watch: Stopwatch) -> None:
    with Path(CHOICE, SIZE) as path:
        watch.start(CLOCK.now_ns())
        picture = path.picture(frame(), CONTROLS, watch, 1)
    assert picture.verdict.admits, picture.verdict
    assert picture.pixels.shape == (128, 128, 4)
    assert set(picture.timings_ms) == RENDER_STAGES
    assert picture.source is None
    assert 0.0 <= picture.signals["motion"] <= 1.0


def test_the_source_is_sent_when_it_is_asked_for(watch: Stopwatch) -> None:
    with Path(CHOICE, SIZE) as path:
        watch.start(CLOCK.now_ns())
        picture = path.picture(frame(), Controls(size_px=SIZE, want_source=True), watch, 1)
    assert picture.source is not None
    assert picture.source.shape == (128, 128, 3)


def test_of_a_held_frame_the_source_is_sent_only_when_that_is_asked_for(watch: Stopwatch) -> None:
    sent = []
    with Path(CHOICE, SIZE) as path:
        path.guard = Guard([Judge(lambda: Verdict(Judgement.HOLD, 0.0, "not this one"))])
        for wish in ({}, {"want_source": True}, {"want_held": True}):
            watch.start(CLOCK.now_ns())
            picture = path.picture(frame(), Controls(size_px=SIZE, **wish), watch, 1)
            assert picture.pixels.size == 0
            sent.append(picture.source is not None)
    assert sent == [False, False, True]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: Verdict(Judgement.HOLD, 0.0, "not this one"), "not this one"),
        (lambda: Verdict(Judgement.BLANK, 0.0, "panic"), "panic"),
        (fail, "the policy broke"),
        (wait, "judging took"),
        (lambda: Verdict(Judgement.PASS, float("nan"), "?"), "no sound verdict"),
        (lambda: None, "no sound verdict"),
    ],
)
def test_a_latent_that_is_not_admitted_is_not_decoded(
    watch: Stopwatch, answer: Callable[[], Verdict], reason: str
) -> None:
    with Path(CHOICE, SIZE) as path:
        path.guard = Guard([Judge(answer)], limit_ms=20.0)
        watch.start(CLOCK.now_ns())
        picture = path.picture(frame(), CONTROLS, watch, 1)
    assert not picture.verdict.admits
    assert reason in picture.verdict.reason
    assert picture.pixels.size == 0
    assert not {"planes", "decode"} & set(picture.timings_ms)


def test_without_its_guard_file_a_student_paints_nothing(
    watch: Stopwatch, tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "null"
    shutil.copytree(find("null"), copy)
    (copy / "guard.npz").unlink()
    monkeypatch.setattr("vivant.engines.kinds.find", lambda name: copy)
    with Path(CHOICE, SIZE) as path:
        watch.start(CLOCK.now_ns())
        picture = path.picture(frame(), CONTROLS, watch, 1)
    assert picture.verdict.judgement is Judgement.HOLD
    assert "guard.npz" in picture.verdict.reason


def test_a_stage_that_fails_is_a_hold_and_one_that_keeps_failing_ends_the_process(
    watch: Stopwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally()
    with Path(CHOICE, SIZE) as path:
        monkeypatch.setattr(path.student, "decode", lambda *args: 1 / 0)
        for number in range(1, ERRORS_IN_A_ROW):
            watch.start(CLOCK.now_ns())
            picture = tally.attempt(path, frame(number), CONTROLS, watch)
            assert picture.verdict.judgement is Judgement.HOLD
            assert "ZeroDivisionError" in picture.verdict.reason
        with pytest.raises(ZeroDivisionError):
            tally.attempt(path, frame(99), CONTROLS, watch)
    assert tally.errors == ERRORS_IN_A_ROW
    assert tally.admitted == 0


def test_the_supervisor_can_see_in_which_stage_it_is() -> None:
    import multiprocessing as mp

    pulse = make_lanes(mp.get_context("spawn")).pulse
    seen = Stopwatch(CLOCK, pulse)
    seen.start(CLOCK.now_ns())
    seen.enter("decode")
    assert STAGES[pulse[STAGE]] == "decode"
    assert pulse[RENDER] > 0


def test_another_size_takes_effect_between_two_frames(watch: Stopwatch) -> None:
    paths = Paths(CHOICE, CONTROLS)
    sizes = []
    end = time.perf_counter() + 10
    while time.perf_counter() < end and (not sizes or sizes[-1] == 128):
        path = paths.want(replace(CONTROLS, size_px=(192, 192)))
        watch.start(CLOCK.now_ns())
        sizes.append(path.picture(frame(), CONTROLS, watch, 1).pixels.shape[0])
    paths.close()
    assert sizes[0] == 128
    assert sizes[-1] == 192


def test_the_same_frame_controls_and_seed_give_the_same_picture(watch: Stopwatch) -> None:
    given, pictures = frame(), []
    for _ in range(2):
        with Path(CHOICE, SIZE) as path:
            watch.start(CLOCK.now_ns())
            pictures.append(path.picture(given, CONTROLS, watch, 1).pixels.copy())
    assert np.array_equal(*pictures)


def test_an_adapter_is_worn_between_two_frames_and_taken_off_again(watch: Stopwatch, tmp_path: File) -> None:
    dusk = write_tiny_adapter(tmp_path / "dusk.safetensors", Card.read(find("house")))
    choice = StudentChoice("house", "onnxruntime", "float", threads=1, seed=0, adapters=(str(dusk),))
    pictures, given = [], frame()
    with Path(choice, SIZE) as path:
        path.guard = Guard([Judge(lambda: Verdict(Judgement.PASS, 1.0, "told"))])
        for scale in (0.0, 1.0, 0.0, 1.0):
            path.planes.forget()
            watch.start(CLOCK.now_ns())
            controls = Controls(size_px=SIZE, styles={"ink": 1.0}, adapters={"dusk": scale})
            pictures.append(path.picture(given, controls, watch, 1).pixels.astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.1
    assert np.array_equal(pictures[0], pictures[2]) and np.array_equal(pictures[1], pictures[3])


def test_an_adapter_that_comes_while_the_show_runs_paints_as_if_it_had_been_there(
    watch: Stopwatch, tmp_path: File
) -> None:
    card, given = Card.read(find("house")), frame()
    dusk = write_tiny_adapter(tmp_path / "dusk.safetensors", card, host="ink", recipe="riso")
    choice = StudentChoice("house", "onnxruntime", "float", threads=1, seed=0)
    controls = Controls(size_px=SIZE, styles={"ink": 1.0}, adapters={"dusk": 1.0})

    def painted(path: Path, more: Controls = controls) -> U8:
        path.guard = Guard([Judge(lambda: Verdict(Judgement.PASS, 1.0, "told"))])
        path.planes.forget()  # type: ignore[union-attr]
        watch.start(CLOCK.now_ns())
        return path.picture(given, more, watch, 1).pixels.copy()

    with Path(replace(choice, adapters=(str(dusk),)), SIZE) as path:
        wanted = painted(path)
    paths = Paths(choice, controls)
    bare = painted(paths.want(controls))
    said = paths.dress([Fit(str(dusk)), Fit(str(tmp_path / "nowhere.safetensors"))])
    end = time.perf_counter() + 10
    while len(said) < 2 and time.perf_counter() < end:
        said += paths.dress([])
    assert [one.problem == "" for one in said] == [True, False] and said[0].name == "dusk"
    assert not np.array_equal(bare, wanted)
    assert np.array_equal(painted(paths.want(controls)), wanted)
    larger = replace(controls, size_px=(160, 160))
    while paths.want(larger).size_px != (160, 160) and time.perf_counter() < end + 20:
        time.sleep(0.01)
    assert "dusk" in paths.now.student.adapters
    paths.close()


def test_no_texture_is_made_while_the_show_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recipe that a style or an adapter may ask for was gathered once before the first frame."""
    from vivant.engines import field
    from vivant.engines.slots import ORIENTED, RECIPES

    gathered: set[str] = set()
    gather = field.PlaneField._gather

    def seen(self: field.PlaneField, group: str, *rest: object) -> None:
        gathered.add(group)
        gather(self, group, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(field.PlaneField, "_gather", seen)
    field._tiles.clear()
    with Path(StudentChoice("house", "onnxruntime", "int8", threads=1, seed=0), (64, 64)) as path:
        wanted = [RECIPES[recipe].sources for recipe in path.student.recipes]
    assert {"riso", "marbling"} <= set(path.student.recipes)
    assert gathered >= ORIENTED
    assert {s for one in wanted for group, s in one.items() if group not in ORIENTED} <= field._tiles.keys()
