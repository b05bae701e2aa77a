"""What a scene says of its guard, and that the show does it: words, files, fallbacks, spoiled latents."""

from __future__ import annotations

import multiprocessing as mp
from dataclasses import replace
from pathlib import Path as File

import numpy as np
import pytest
from test_path import CHOICE, CLOCK, SIZE, frame

from vivant.guardrails.guard_file import GuardFile, write_guard_file
from vivant.guardrails.words import WordGuard
from vivant.runtime.audit import Audit, read_day
from vivant.runtime.audit_chart import day_chart, kept_pictures, reasons, totals
from vivant.runtime.exchange import make_lanes
from vivant.runtime.frames import Controls, Judgement, Latent, VivantError
from vivant.runtime.parameters import Parameter, parameters_for
from vivant.runtime.path import Path, Stopwatch
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.tree import Tree

PROMPT = "/vivant/prompt/a"


def scene(tmp_path: File, text: str) -> File:
    path = tmp_path / "scene.toml"
    path.write_text('title = "x"\n' + text)
    return path


def tree() -> Tree:
    made = Tree((*parameters_for(), Parameter(PROMPT, "text", "what to paint", "", maximum=100)))
    made.words = WordGuard(deny=("swastika",))
    return made


def watch() -> Stopwatch:
    return Stopwatch(CLOCK, make_lanes(mp.get_context("spawn")).pulse)


def test_a_denied_prompt_is_refused_with_its_reason_counted_and_told() -> None:
    made, told = tree(), []
    made.denied = lambda *facts: told.append(facts)
    assert made.set(PROMPT, ("ink on paper",), 0, "osc").taken
    outcome = made.set(PROMPT, ("a sw4stik\u0430",), 0, "osc")
    assert outcome.reason == "denied"
    assert made.value(PROMPT) == "ink on paper"
    assert made.counts()["osc"] == {"applied": 1, "denied": 1}
    assert told == [(PROMPT, "a sw4stik\u0430", "osc", "denied word 1")]


def test_a_denied_prompt_at_the_start_is_an_error_that_says_so() -> None:
    with pytest.raises(VivantError, match=r"not let through by \[words\] \(denied word 1\)"):
        tree().start_with({PROMPT: "swastikas"}, "scene")


def test_a_scene_names_its_words_fallbacks_and_log(tmp_path: File) -> None:
    read = load_scene(
        scene(
            tmp_path,
            'audit = "log"\n[words]\ndeny = ["kill*"]\n[guard]\nfallbacks = ["seed", "style:ink"]\n',
        )
    )
    assert read.audit == str(tmp_path / "log")
    assert read.guard.fallbacks == ("seed", "style:ink")
    assert tree_of(read).words is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[guard]\nfallbacks = ["sed"]', "'sed' should be one of 'seed'"),
        ('[guard]\nfallbacks = ["style:tempera"]', "'style:oil'"),
        ("[guard]\nfallback_after_s = 0", "greater than or equal to 0.5"),
        ('[guard]\nfiles = {"absent.npz" = "0123456789ab"}', "absent.npz cannot be read"),
        ('[guard]\nfiles = {"absent.npz" = "0123"}', "pattern"),
        ("[guard]\nfile = {}", "did you mean 'files'"),
        ('[words]\ndeny = ["a"]', "too short"),
        ('[words]\ndenied = ["abc"]', "unknown key"),
    ],
)
def test_what_is_wrong_with_it_is_said_at_load(tmp_path: File, text: str, words: str) -> None:
    with pytest.raises(VivantError) as found:
        load_scene(scene(tmp_path, text))
    assert words in str(found.value)


def test_a_file_for_another_student_is_an_error_at_load_and_a_closed_guard_in_the_show(
    tmp_path: File,
) -> None:
    sha256 = write_guard_file(tmp_path / "probe.npz", "probe", "another student", {"version": np.array(1)})
    with pytest.raises(VivantError, match=r"fitted to the student of hash another stud"):
        load_scene(scene(tmp_path, f'student = "null"\n[guard]\nfiles = {{"probe.npz" = "{sha256}"}}'))
    choice = replace(CHOICE, guards=(GuardFile(tmp_path / "probe.npz", sha256),))
    with Path(choice, SIZE) as path:
        clock = watch()
        clock.start(CLOCK.now_ns())
        picture = path.picture(frame(), Controls(size_px=SIZE), clock, 1)
    assert picture.verdict.judgement is Judgement.HOLD
    assert "another stud" in picture.verdict.reason
    assert picture.pixels.size == 0


def test_of_spoiled_latents_one_in_twenty_none_is_decoded_and_the_others_all_are() -> None:
    rng = np.random.default_rng(0)
    decoded: list[float] = []
    with Path(CHOICE, SIZE) as path:
        denoise, decode = path.student.denoise, path.student.decode
        spoiled: list[bool] = []

        def spoil(latent: Latent, controls: Controls) -> Latent:
            made = denoise(latent, controls)
            spoiled.append(bool(rng.uniform() < 0.05))
            return Latent(-3 * made.code, made.guide) if spoiled[-1] else made

        def seen(latent: Latent, planes: object, controls: Controls) -> object:
            decoded.append(float(np.abs(latent.code).max()))
            return decode(latent, planes, controls)  # type: ignore[arg-type]

        path.student.denoise, path.student.decode = spoil, seen  # type: ignore[method-assign]
        clock, admitted = watch(), []
        for serial in range(300):
            clock.start(CLOCK.now_ns())
            picture = path.picture(frame(serial), Controls(size_px=SIZE, styles={"ink": 1.0}), clock, serial)
            admitted.append(picture.verdict.admits)
        whole = float(np.abs(denoise(path.student.encode(frame().pixels[:128, :128]), Controls()).code).max())
    assert sum(spoiled) >= 8
    assert admitted == [not bad for bad in spoiled]
    assert len(decoded) == 300 - sum(spoiled)
    assert max(decoded) < 2.5 * whole


def test_a_day_is_counted_and_drawn(tmp_path: File) -> None:
    import time
    from datetime import datetime

    log = Audit(tmp_path, "Mirror")
    log.note("start")
    log.note("verdict", judgement="hold", count=30, reason="outside the envelope: 1.2 times")
    log.note("operator", address="/vivant/panic", value=True, count=1)
    log.close()
    day = datetime.fromtimestamp(time.time())
    lines, broken = read_day(tmp_path, day)
    assert broken == 0
    assert totals(lines) == {"start": 1, "hold": 30, "panic": 1}
    assert reasons(lines) == {"outside the envelope": 30}
    day_chart(lines, day, tmp_path / "day.png")
    day_chart([], day, tmp_path / "empty.png")
    kept = Audit(tmp_path / "kept", "Mirror")
    for number in range(20):
        kept.note("verdict", np.full((90, 120, 4), 12 * number, np.uint8), judgement="hold", reason="probe")
        while kept.counts()["pictures"] <= number:
            time.sleep(0.002)
    kept.note("adapter", state="refused", name="x")
    kept.close()
    of_kept, _ = read_day(tmp_path / "kept", day)
    shown = kept_pictures(of_kept, tmp_path / "kept")
    assert len(shown) == 12
    assert all(pixels.shape == (90, 120, 3) for _, pixels in shown)
    assert totals(of_kept)["adapter refused"] == 1
    day_chart(of_kept, day, tmp_path / "kept.png", tmp_path / "kept")
    assert (tmp_path / "kept.png").stat().st_size > (tmp_path / "day.png").stat().st_size
    assert (tmp_path / "day.png").stat().st_size > (tmp_path / "empty.png").stat().st_size > 500
