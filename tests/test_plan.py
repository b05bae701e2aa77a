"""Training plans: read in full, every problem at once, and what a batch is drawn from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")

from vivant.distill.plan import Plan, PlanError, plan_of, read_plan
from vivant.engines.house import Widths
from vivant.runtime.parameters import HOUSE_STYLES

pytestmark = pytest.mark.torch
RIGHT = {"styles": ["ink", "oil"], "picks": {"ink": 1.0, "oil": 3.0}, "minutes": 5.0}


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_the_house_plan_trains_every_style_of_the_show() -> None:
    plan = read_plan(ROOT / "distill" / "house.toml")
    assert plan.styles == HOUSE_STYLES
    assert set(plan.picks) == {*HOUSE_STYLES, "blends"}
    assert plan.widths == Widths()


def test_every_problem_of_a_plan_is_named_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'styles = ["ink"]\nsteeps = 4\n[picks]\nink = 1.0\nchalk = 2.0\n'
        "[widths]\nhalve = 8\n[weights]\nnear = 1.0\nbeauty = 2.0\n",
    )
    with pytest.raises(PlanError) as error:
        read_plan(path)
    first, *problems = str(error.value).splitlines()
    assert first == f"{path}: 5 problems"
    for problem, start in zip(
        problems,
        (
            "  steeps: unknown key; a plan has critic_from, crop_px,",
            "  minutes: missing",
            "  widths.halve: unknown key; widths are eighth, half,",
            "  weights.beauty: unknown loss; losses are near, texture,",
            "  picks.chalk: neither a style of this plan nor blends",
        ),
        strict=True,
    ):
        assert problem.startswith(start)


def test_values_of_the_wrong_kind_are_problems_like_any_other(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'styles = 3\nminutes = "long"\nstills = 2.5\nseed = true\ncrop_px = 4\nweights = 1\n'
        "[picks]\nink = -1\n",
    )
    with pytest.raises(PlanError) as error:
        read_plan(path)
    assert str(error.value).splitlines() == [
        f"{path}: 7 problems",
        "  minutes: 'long'; give a number, 0.01 or more",
        "  stills: 2.5; give a whole number, 1 or more",
        "  crop_px: 4; give a whole number, 32 to 256",
        "  seed: True; give a whole number, 0 or more",
        "  styles: 3; give a list of names",
        "  picks.ink: -1; give a number, 0 or more",
        "  weights: 1; give a table, [weights]",
    ]


def test_a_plan_that_picks_nothing_is_refused() -> None:
    with pytest.raises(PlanError, match="picks: are all 0"):
        plan_of(RIGHT | {"picks": {"ink": 0.0}})


def test_one_problem_is_one() -> None:
    with pytest.raises(PlanError, match=r"^plan: 1 problem\n  picks: missing$"):
        plan_of({"styles": ["ink"], "minutes": 1.0})


@pytest.mark.parametrize("text", ["styles = [", "minutes == 1"])
def test_a_plan_that_is_no_toml_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(PlanError, match=r"plan\.toml: Invalid"):
        read_plan(written(tmp_path, text))


def test_a_plan_that_is_not_there_is_refused_with_an_example(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"nowhere\.toml cannot be read \(No such file.*distill/house\.toml"):
        read_plan(tmp_path / "nowhere.toml")


def test_what_the_command_line_gives_takes_the_place_of_the_plans_own(tmp_path: Path) -> None:
    path = written(tmp_path, 'styles = ["ink"]\nminutes = 5.0\nsteps = 7\n[picks]\nink = 1.0\n')
    plan = read_plan(path, minutes=2.0, steps=None)
    assert (plan.minutes, plan.steps) == (2.0, 7)


def test_a_plan_comes_back_from_its_facts() -> None:
    plan = Plan(("ink", "oil"), {"ink": 1.0, "oil": 2.0}, 3.0, steps=9, widths=Widths(half=16))
    assert plan_of(plan.facts()) == plan
    assert plan_of(RIGHT).styles == ("ink", "oil")


def test_each_batch_holds_nearly_each_folders_share() -> None:
    picks = {"ink": 1.0, "oil": 2.0, "blends": 1.0}
    plan = Plan(("ink", "oil"), picks, 1.0, stills=8, moving=3)
    rng, total = np.random.default_rng(0), Counter[str]()
    for _ in range(200):
        stills, moving = plan.draw(rng)
        found = Counter(stills)
        assert len(stills) == 8 and all(abs(found[name] - 2 * share) <= 1 for name, share in picks.items())
        assert len(moving) == 3 and set(moving) <= {"ink", "oil"}
        total += found
    assert all(abs(total[name] / 200 - 2 * share) < 0.1 for name, share in picks.items())


def test_shares_need_not_sum_to_one_and_a_folder_may_be_rare() -> None:
    plan = Plan(("ink", "oil"), {"ink": 100.0, "oil": 1.0}, 1.0, stills=4, moving=0)
    rng = np.random.default_rng(0)
    drawn = Counter(name for _ in range(300) for name in plan.draw(rng)[0])
    assert 0 < drawn["oil"] < 40 and plan.draw(rng)[1] == []
