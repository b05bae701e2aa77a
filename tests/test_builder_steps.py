"""Steps are done once and kept whole; what is left of a build is told from how its steps went."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivant.engines.builder.estimate import Estimate
from vivant.engines.builder.step import STAGED, Making, Shelf, Unwatched, step


class Watching(Unwatched):
    """Notes the names of steps that are done."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def ended(self, one, seconds):
        self.done.append(one.name)


def write(text: str):
    def make(making: Making) -> None:
        given = "".join((place / "text").read_text() for place in making.given.values())
        (making.folder / "text").write_text(given + text)

    return make


def chain(first: str = "a", second: str = "b"):
    one = step("write", "one", write(first), {"text": first})
    return one, step("write", "two", write(second), {"text": second}, {"one": one})


def test_a_step_is_done_with_all_it_needs_and_only_once(tmp_path):
    shelf, watch = Shelf(tmp_path), Watching()
    _, two = chain()
    assert (shelf.get(two, watch) / "text").read_text() == "ab"
    assert watch.done == ["write one", "write two"]
    Shelf(tmp_path).get(two, watch)
    assert watch.done == ["write one", "write two"]


def test_what_goes_in_changes_the_key_of_a_step_and_of_those_that_need_it(tmp_path):
    shelf, watch = Shelf(tmp_path), Watching()
    shelf.get(chain()[1], watch)
    shelf.get(chain(second="c")[1], watch)
    assert watch.done == ["write one", "write two", "write two"]
    assert (shelf.get(chain(first="x")[1], watch) / "text").read_text() == "xb"
    assert chain()[1].key != chain(first="x")[1].key


def test_a_finished_step_does_not_ask_for_what_it_needed(tmp_path):
    one, two = chain()
    shelf = Shelf(tmp_path)
    shelf.get(two)
    for path in shelf.place(one).iterdir():
        path.unlink()
    shelf.place(one).rmdir()
    assert Shelf(tmp_path).missing(two) == []


@pytest.mark.parametrize("damage", ["text", "step.json", "more"])
def test_a_damaged_result_is_thrown_away_and_made_again(tmp_path, damage):
    one, _ = chain()
    (Shelf(tmp_path).get(one) / damage).write_text("broken")
    shelf, watch = Shelf(tmp_path), Watching()
    assert (shelf.get(one, watch) / "text").read_text() == "a"
    assert watch.done == ["write one"]


def test_a_step_that_fails_leaves_nothing(tmp_path):
    def fail(making: Making) -> None:
        (making.folder / "half").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        Shelf(tmp_path).get(step("fail", "", fail, {}))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_build_left_is_in_nobodys_way(tmp_path):
    (tmp_path / f"{STAGED}dead").mkdir()
    (tmp_path / f"{STAGED}dead" / "text").write_text("half")
    shelf = Shelf(tmp_path)
    assert (shelf.get(chain()[0]) / "text").read_text() == "a"
    assert [path.name for path in shelf.staged()] == [f"{STAGED}dead"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def steps(count: int, guess_s: float = 10.0):
    return [step("wait", str(index), write(""), {"index": index}, guess_s=guess_s) for index in range(count)]


def test_time_left_is_what_steps_took_before_or_what_they_guess():
    one, two = steps(2)
    estimate = Estimate({"wait 0": 4.0})
    estimate.planned([one, two])
    assert estimate.left_s == 14.0 and estimate.count == 2 and estimate.share == 0.0


def test_a_build_that_goes_twice_as_slowly_is_expected_to_go_on_so():
    clock = Clock()
    one, two = steps(2)
    estimate = Estimate({}, clock)
    estimate.planned([one, two])
    estimate.began(one)
    clock.now = 20.0
    estimate.ended(one, 20.0)
    assert estimate.left_s == 20.0
    estimate.began(two)
    clock.now = 25.0
    assert estimate.left_s == 15.0
    estimate.further(two, 0.5)
    assert estimate.left_s == 5.0
    assert estimate.share == pytest.approx(25 / 30)


def test_a_step_that_takes_longer_than_expected_is_not_expected_to_take_less_than_nothing():
    clock = Clock()
    (one,) = steps(1)
    estimate = Estimate({}, clock)
    estimate.planned([one])
    estimate.began(one)
    clock.now = 100.0
    assert estimate.left_s == 0.0
    estimate.ended(one, 100.0)
    assert estimate.done == estimate.count == 1 and estimate.share == 1.0


def test_the_shelf_knows_how_long_steps_took(tmp_path):
    clock = Clock()

    def slow(making: Making) -> None:
        clock.now += 3.0

    Shelf(tmp_path, clock).get(step("wait", "long", slow, {}))
    assert Shelf(tmp_path).times() == {"wait long": 3.0}


def test_a_result_is_whole_before_it_has_its_name(tmp_path):
    seen: list[list[str]] = []

    def look(making: Making) -> None:
        (making.folder / "text").write_text("a")
        seen.append([path.name for path in tmp_path.iterdir()])

    one = step("look", "", look, {})
    place = Shelf(tmp_path).get(one)
    assert seen == [[next(iter(seen[0]))]] and seen[0][0].startswith(STAGED)
    assert [path.name for path in tmp_path.iterdir()] == [Path(place).name]
