"""Effects in a show: where they lie, what they cost when they are off, how files and pictures change."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moderngl
import numpy as np
import pytest
from isf_stage import FILES

from vivant.runtime.canvas import Canvas, Look
from vivant.runtime.frames import U8, ManualClock, VivantError
from vivant.runtime.isf.card import Card
from vivant.runtime.isf.effects import Effects
from vivant.runtime.isf.header import IsfError
from vivant.runtime.isf.section import EffectOf, TransitionOf, isf_parameters
from vivant.runtime.parameters import parameters_for
from vivant.runtime.surface import open_headless
from vivant.runtime.tree import Tree

pytestmark = pytest.mark.gl
PX = 48
TICK_NS = 16_000_000


@pytest.fixture(scope="module")
def context() -> Iterator[moderngl.Context]:
    try:
        surface = open_headless((16, 16), clock=ManualClock())
    except VivantError as error:
        pytest.skip(str(error))
    yield surface.context
    surface.close()


class Show:
    """A canvas with effects, and a clock that goes on by one refresh at each draw."""

    def __init__(
        self,
        context: moderngl.Context,
        effects: dict[str, dict[str, Any]] | None = None,
        transitions: dict[str, dict[str, Any]] | None = None,
        software: bool = False,
        guarded: bool = True,
    ) -> None:
        scene = SimpleNamespace(
            effects={name: EffectOf.model_validate(one) for name, one in (effects or {}).items()},
            transitions={name: TransitionOf.model_validate(one) for name, one in (transitions or {}).items()},
        )
        table = {"effects": effects or {}, "transitions": transitions or {}}
        self.tree = Tree((*parameters_for(), *isf_parameters(table, Path())))
        self.told: list[tuple[str, Sequence[Any]]] = []
        self.effects = Effects(
            context,
            scene,
            self.tree,
            software=software,
            tell=lambda address, args: self.told.append((address, args)),
            wall=lambda: datetime(2026, 3, 31, 6),
        )
        self.canvas = Canvas(context, "light", guarded, effects=self.effects)
        self.target = context.framebuffer([context.renderbuffer((PX, PX), 4)])
        self.now_ns = 0

    def step(self) -> bool:
        """One refresh up to its drawing; whether it would be drawn."""
        self.now_ns += TICK_NS
        self.effects.step(self.now_ns)
        self.tree.tick(self.now_ns)
        return self.canvas.moves

    def draw(self, pixels: U8 | None = None, blank: bool = False) -> U8:
        """One refresh, u8 (H, W, 3), top row first."""
        self.step()
        if pixels is not None:
            self.canvas.show(pixels)
        self.canvas.draw(self.target, (PX, PX), Look(), time_s=self.now_ns / 1e9, blank=blank)
        shown: U8 = self.canvas.read()[..., :3]
        return shown

    def set(self, address: str, *value: Any) -> None:
        outcome = self.tree.set("/vivant/" + address, value, self.now_ns, "test")
        assert outcome.verb == "applied", outcome

    def arrive(self, pixels: U8) -> U8:
        """Show a picture until it has grown out of the idle field, and calmly enough to pass undamped."""
        for _ in range(60):
            shown = self.draw(pixels)
        return shown


@pytest.fixture
def shows(context: moderngl.Context) -> Iterator[Any]:
    opened: list[Show] = []

    def open_show(*args: Any, **how: Any) -> Show:
        opened.append(Show(context, *args, **how))
        return opened[-1]

    yield open_show
    for show in opened:
        show.effects.close()


def picture(seed: int = 5) -> U8:
    pixels = np.random.default_rng(seed).integers(60, 120, (PX, PX, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[: PX // 2, :, 0] += 100  # redder above
    return pixels


def near(shown: U8, wanted: Any, most: int = 3) -> bool:
    return bool(np.abs(shown.astype(int) - np.asarray(wanted, float)).max() <= most)


def named(name: str) -> str:
    return str(FILES / f"{name}.fs")


@pytest.mark.parametrize("at", ["picture", "screen"])
def test_a_filter_shows_the_picture_the_right_way_up_at_both_places(shows: Any, at: str) -> None:
    show, pixels = shows({"swap": {"file": named("read_this_pixel"), "at": at}}), picture()
    assert near(show.arrive(pixels), pixels[..., 2::-1])


def test_mix_fades_an_effect_and_at_nothing_the_picture_is_bit_equal(shows: Any) -> None:
    show, pixels = shows({"invert": {"file": named("input_bool"), "on": False}}), picture()
    plain = show.arrive(pixels)
    assert np.array_equal(plain, pixels[..., :3])
    assert show.effects.counts()["effect/invert"]["drawn"] == 0
    show.set("effect/invert/mix", 0.5)
    show.arrive(pixels)
    assert near(show.draw(), 127.5 * np.ones_like(plain))
    show.set("effect/invert/mix", 0.0)
    assert np.array_equal(show.arrive(pixels), plain)


def test_effects_are_laid_in_the_order_of_the_scene(shows: Any) -> None:
    pixels = picture()
    first = {"file": named("draw_bright")}
    second = {"file": named("input_bool")}
    there = shows({"a": first, "b": second}).arrive(pixels)
    back = shows({"a": second, "b": first}).arrive(pixels)
    c = pixels[..., :3] / 255
    assert near(there, 255 * (1 - np.clip(4 * c - 1, 0, 1)), 5)
    assert near(back, 255 * np.clip(4 * (1 - c) - 1, 0, 1), 5)


def test_parameters_reach_the_shader_at_the_next_draw(shows: Any) -> None:
    show = shows({"ink": {"file": named("input_color")}})
    show.arrive(picture())
    for channel, value in (("r", 0.5), ("g", 0.25), ("b", 0.3)):
        show.set(f"effect/ink/ink/{channel}", value)
    assert show.step()
    assert near(show.arrive(picture()), np.broadcast_to((127.5, 63.75, 76.5), (PX, PX, 3)))


def test_what_drives_a_parameter_drives_the_effect(shows: Any) -> None:
    show = shows({"grey": {"file": named("input_float")}})
    show.arrive(picture())
    show.tree.over = {"/vivant/effect/grey/level": 0.5}
    assert near(show.arrive(picture()), np.broadcast_to((127.5, 0, 0), (PX, PX, 3)))


def test_an_event_lasts_one_drawn_frame(shows: Any) -> None:
    show = shows({"hit": {"file": named("input_event")}}, guarded=False)
    assert show.arrive(picture()).max() == 0
    show.tree.set("/vivant/effect/hit/hit", (), show.now_ns, "test")
    assert show.step(), "it is drawn for"
    assert show.draw().min() == 255
    assert show.step(), "and so is its end"
    assert show.draw().max() == 0
    assert not show.step()


def test_what_stands_still_is_not_drawn_again(shows: Any) -> None:
    show = shows(
        {"still": {"file": named("read_this_pixel")}, "late": {"file": named("uniform_time"), "on": False}}
    )
    show.arrive(picture())
    assert not show.step()
    show.set("effect/late/mix", 1.0)
    assert show.step()
    show.draw()
    assert show.step(), "what reads the time moves by itself"


def test_a_software_renderer_moves_what_lives_thirty_times_a_second(shows: Any) -> None:
    show = shows({"time": {"file": named("uniform_timedelta")}}, software=True)
    show.arrive(picture())
    moved = []
    for _ in range(40):
        moved.append(show.step())
        if moved[-1]:
            show.canvas.draw(show.target, (PX, PX), Look(), time_s=show.now_ns / 1e9)
    assert sum(moved) == 20


def test_a_panic_leaves_nothing_in_the_buffers_that_could_come_back(shows: Any) -> None:
    show = shows({"trail": {"file": named("persistent_trail")}})
    show.set("effect/trail/keep", 1.0)
    black = np.zeros((PX, PX, 4), np.uint8)
    show.set("effect/trail/keep", 0.0)
    show.arrive(picture())
    show.set("effect/trail/keep", 1.0)
    assert show.draw(black).max() > 40, "it holds what was there"
    assert show.draw(black, blank=True).max() == 0
    assert show.arrive(black).max() == 0


def test_a_picture_that_is_taken_back_is_in_no_trail_crossfade_or_transition(shows: Any) -> None:
    black = np.zeros((PX, PX, 4), np.uint8)
    black[..., 3] = 255
    show = shows({"trail": {"file": named("persistent_trail")}}, {"fade": {"file": named("transition_fade")}})
    show.set("effect/trail/keep", 0.0)
    show.arrive(picture())
    show.set("effect/trail/keep", 1.0)
    show.set("style/choose", "ink")
    assert show.draw(picture()).max() > 40
    show.canvas.forget()
    show.step()
    show.canvas.show(black)
    for fade in (0.2, 1.0):
        show.canvas.draw(show.target, (PX, PX), Look(), fade=fade, time_s=show.now_ns / 1e9)
        assert show.canvas.read()[..., :3].max() == 0


@pytest.mark.parametrize("at", ["picture", "screen"])
def test_a_strobe_is_slowed_by_the_flash_guard_wherever_it_lies(shows: Any, tmp_path: Path, at: str) -> None:
    path = tmp_path / "strobe.fs"
    path.write_text(GREY.format(inputs="", grey="step(0.5, fract(TIME * 6.0))"))
    swings = []
    for guarded in (False, True):
        show = shows({"strobe": {"file": str(path), "at": at, "on": False}}, guarded=guarded)
        show.arrive(picture())
        show.set("effect/strobe/mix", 1.0)
        means = [show.draw().mean() for _ in range(180)][90:]
        swings.append(max(means) - min(means))
    assert swings[0] == 255
    assert swings[1] < 40
    assert show.canvas.flash.counts()["engaged"] == 1


def test_an_effect_that_was_off_begins_anew(shows: Any) -> None:
    show = shows({"sum": {"file": named("persistent_counter")}}, guarded=False)
    show.arrive(picture())
    assert show.draw().max() == 255, "it counted up"
    show.set("effect/sum/mix", 0.0)
    assert np.array_equal(show.draw(), picture()[..., :3])
    show.set("effect/sum/mix", 1.0)
    assert near(show.draw(), np.broadcast_to((25.5, 0, 0), (PX, PX, 3)))


def test_a_file_that_is_no_glsl_is_an_error_before_the_show(shows: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.fs"
    path.write_text('/*{"INPUTS": []}*/\nvoid main() {\n    gl_FragColor = vec3(1.0);\n}\n')
    with pytest.raises(IsfError, match=rf"{path}:3: "):
        shows({"broken": {"file": str(path)}})


def rewrite(path: Path, text: str) -> None:
    stamp = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(stamp + 1_000_000_000, stamp + 1_000_000_000))


GREY = '/*{{"INPUTS": [{inputs}]}}*/\nvoid main() {{\n    gl_FragColor = vec4(vec3({grey}), 1.0);\n}}\n'


def test_a_changed_file_takes_over_between_two_frames(shows: Any, tmp_path: Path) -> None:
    path = tmp_path / "grey.fs"
    path.write_text(GREY.format(inputs="", grey="0.3"))
    show = shows({"grey": {"file": str(path)}})
    assert near(show.arrive(picture()), 76.5)
    added = json.dumps({"NAME": "level", "TYPE": "float", "DEFAULT": 0.4})
    rewrite(path, GREY.format(inputs=added, grey="level"))
    show.effects._watch.look()
    assert near(show.arrive(picture()), 102)
    show.set("effect/grey/level", 0.5)
    assert near(show.arrive(picture()), 127.5)
    assert show.effects.counts()["effect/grey"]["reloaded"] == 1


def test_a_changed_file_that_is_broken_is_refused_and_the_one_before_stays(
    shows: Any, tmp_path: Path
) -> None:
    path = tmp_path / "grey.fs"
    level = json.dumps({"NAME": "level", "TYPE": "float", "DEFAULT": 0.3})
    path.write_text(GREY.format(inputs=level, grey="level"))
    show = shows({"grey": {"file": str(path)}})
    show.arrive(picture())
    wider = json.dumps({"NAME": "level", "TYPE": "float", "MAX": 7})
    transition = [{"NAME": name, "TYPE": "image"} for name in ("startImage", "endImage")]
    transition.append({"NAME": "progress", "TYPE": "float"})
    for count, (text, reason) in enumerate(
        (
            (GREY.format(inputs=level, grey="nobody"), f"{path}:3: "),
            ("no shader at all", f"{path}:1: an ISF file begins"),
            (GREY.format(inputs=wider, grey="level"), "was [0, 1] and is [0, 7] now"),
            (
                GREY.format(inputs=json.dumps(transition)[1:-1], grey="0.9"),
                "was a source, and is a transition",
            ),
        ),
        start=1,
    ):
        rewrite(path, text)
        show.effects._watch.look()
        assert near(show.arrive(picture()), 76.5)
        assert show.effects.refused == count
        address, (name, said) = show.told[-1]
        assert (address, name) == ("/vivant/effects/refused", "grey")
        assert reason in said


def test_the_watch_finds_a_change_by_itself(shows: Any, tmp_path: Path) -> None:
    path = tmp_path / "grey.fs"
    path.write_text(GREY.format(inputs="", grey="0.3"))
    show = shows({"grey": {"file": str(path)}})
    show.arrive(picture())
    rewrite(path, GREY.format(inputs="", grey="0.4"))
    until = time.monotonic() + 20.0
    while not show.effects.counts()["effect/grey"]["reloaded"] and time.monotonic() < until:
        show.draw()
        time.sleep(0.01)
    assert near(show.arrive(picture()), 102)


def test_a_transition_leads_from_the_picture_as_it_was_to_the_live_one(shows: Any) -> None:
    show = shows(transitions={"fade": {"file": named("transition_fade")}})
    before, after = picture(1), picture(2)
    show.set("transition/time_s", 0.8)
    show.arrive(before)
    show.set("style/choose", "ink")
    a, b = before[..., :3].astype(float), after[..., :3].astype(float)
    film = [show.draw(after) for _ in range(60)]
    for index in (0, 12, 25, 40):
        progress = index * TICK_NS / 0.8e9
        assert near(film[index], a + progress * (b - a), 4)
    assert np.array_equal(film[-1], after[..., :3])
    assert show.effects.counts()["transition/fade"]["drawn"] == 50


def test_a_transition_is_upright_begins_by_hand_and_can_be_left_out(shows: Any) -> None:
    show = shows(transitions={"wipe": {"file": named("transition_wipe")}})
    before, after = picture(1), picture(2)
    show.set("transition/wipe/upward", True)
    show.set("transition/time_s", 0.8)
    show.arrive(before)
    show.set("transition/go")
    film = [show.draw(after) for _ in range(26)]
    assert np.array_equal(film[-1][PX // 2 :], after[PX // 2 :, :, :3])
    assert near(film[-1][: PX // 2 - 2], before[: PX // 2 - 2, :, :3], 1)
    show.arrive(before)
    show.set("transition/choose", "none")
    show.set("style/choose", "glass")
    assert np.array_equal(show.draw(after), after[..., :3])


def test_another_choice_in_the_middle_goes_on_from_what_is_seen(shows: Any) -> None:
    show = shows(transitions={"fade": {"file": named("transition_fade")}})
    dark, light = np.full((PX, PX, 4), 60, np.uint8), np.full((PX, PX, 4), 120, np.uint8)
    dark[..., 3] = light[..., 3] = 255
    show.set("transition/time_s", 0.8)
    show.arrive(dark)
    show.set("style/choose", "ink")
    means = [show.draw(light).mean() for _ in range(25)]
    show.set("style/choose", "oil")
    means += [show.draw(dark).mean() for _ in range(60)]
    assert 85 < means[24] < 95
    assert np.abs(np.diff(means)).max() < 4, "nothing jumps"
    assert means[-1] == 60


def test_pictures_of_its_own_and_sound_reach_an_effect(shows: Any) -> None:
    image = {"other": str(FILES / "corners.png")}
    show = shows({"two": {"file": named("input_images"), "images": image}})
    grey = np.full((PX, PX, 4), 100, np.uint8)
    grey[..., 3] = 255
    shown = show.arrive(grey)
    assert near(shown[2, 2], (50 + 127.5, 50, 50))
    assert near(shown[2, -3], (50, 50 + 127.5, 50))
    loud = shows({"wave": {"file": named("input_audio_volume")}})
    assert loud.arrive(picture()).max() == 0
    loud.effects.set_audio(np.array([[0.0, -0.5, 0.25]], np.float32), np.zeros((1, 4), np.float32))
    assert near(loud.arrive(picture()), 127.5)


def test_another_scenes_effects_begin_with_their_transition_from_what_was_shown(shows: Any) -> None:
    before, after = picture(1), picture(2)
    old = shows({"swap": {"file": named("read_this_pixel")}})
    old.arrive(before)
    new = shows(transitions={"fade": {"file": named("transition_fade")}})
    new.set("transition/time_s", 0.8)
    old.canvas.change(new.effects)
    old.effects.close()
    new.canvas = old.canvas
    film = [new.draw(after) for _ in range(60)]
    a, b = before[..., 2::-1].astype(float), after[..., :3].astype(float)
    assert near(film[0], a, 3)
    assert near(film[25], 0.5 * (a + b), 4)
    assert np.array_equal(film[-1], after[..., :3])


class Counting:
    """A context that remembers what was made on it."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context, self.made = context, list[Any]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._context, name)
        if name not in ("texture", "framebuffer", "program", "vertex_array", "buffer"):
            return found

        def make(*args: Any, **how: Any) -> Any:
            self.made.append(found(*args, **how))
            return self.made[-1]

        return make


def test_what_is_closed_leaves_nothing_on_the_graphics_card(
    context: moderngl.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(context)
    monkeypatch.setattr("vivant.runtime.isf.effects.Card", lambda it: Card(counting))  # type: ignore[arg-type]
    show = Show(
        context,
        {
            "trail": {"file": named("persistent_trail")},
            "own": {"file": named("imported_picture"), "at": "screen"},
            "moved": {"file": named("vertex_moves")},
            "heard": {"file": named("input_audio_fft")},
        },
        {"fade": {"file": named("transition_fade")}},
    )
    show.arrive(picture())
    show.set("style/choose", "ink")
    show.arrive(picture(2))
    show.effects.close()
    assert len(counting.made) > 20
    assert [one for one in counting.made if not isinstance(one.mglo, moderngl.InvalidObject)] == []
