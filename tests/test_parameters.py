"""The parameter tree: what values become, how they fade, what a reader is told, and the page about it."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.cli.parameters import page
from vivant.runtime.fades import CURVES, Fade, smooth
from vivant.runtime.frames import VivantError
from vivant.runtime.parameters import (
    ADAPTERS_CURVE,
    ADAPTERS_FADE_S,
    HOUSE_STYLES,
    NORM,
    PANIC,
    PANIC_RELEASE,
    RESET,
    AdapterSketch,
    Parameter,
    adapter_parameter,
    coerce,
    parameters_for,
)
from vivant.runtime.scene import parameters_of
from vivant.runtime.tree import Tree, parse_assignment

STRENGTH = "/vivant/student/strength"
STEPS = "/vivant/student/steps"
SEED = "/vivant/student/seed"
EXPOSURE = "/vivant/look/exposure"
MIRROR = "/vivant/present/mirror"
ASPECT = "/vivant/present/aspect"
CHOOSE = "/vivant/style/choose"
INK = "/vivant/style/ink"
OIL = "/vivant/style/oil"
SECOND_NS = 1_000_000_000

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=8),
    st.lists(st.integers()),
)


@pytest.fixture
def tree() -> Tree:
    return Tree(parameters_for())


@pytest.mark.parametrize(
    ("address", "argument", "verb", "value"),
    [
        (STRENGTH, 0.5, "applied", 0.5),
        (STRENGTH, 1, "applied", 1.0),
        (STRENGTH, True, "applied", 1.0),
        (STRENGTH, 1.01, "clamped", 1.0),
        (STRENGTH, -0.01, "clamped", 0.0),
        ("/vivant/motion/hold", 0.9900000095, "applied", 0.99),  # 0.99 as OSC's float32 carries it
        (EXPOSURE, 2.03, "clamped", 2.0),
        (SEED, 41.5, "applied", 42),
        (SEED, 10_050, "clamped", 9999),
        (MIRROR, True, "applied", True),
        (MIRROR, 1, "applied", True),
        (MIRROR, 0.0, "applied", False),
        (ASPECT, "fit", "applied", "fit"),
        (ASPECT, 1, "applied", "fill"),
        (ASPECT, 0.0, "applied", "fit"),
        (STEPS, 1, "applied", "1"),
        (STEPS, 2.0, "applied", "2"),
        (STEPS, "2", "applied", "2"),
        (EXPOSURE + NORM, 0.75, "applied", 1.0),
        (SEED + NORM, 1.0, "applied", 9999),
        (MIRROR + NORM, 0.5, "applied", True),
        (ASPECT + NORM, 0.2, "applied", "fit"),
        (STEPS + NORM, 1.005, "clamped", "2"),
    ],
)
def test_a_value_becomes_what_its_parameter_holds(
    tree: Tree, address: str, argument: object, verb: str, value: object
) -> None:
    outcome = tree.set(address, (argument,), 0, "osc")
    assert (outcome.verb, outcome.value) == (verb, value)
    assert tree.value(address.removesuffix(NORM)) == value


@pytest.mark.parametrize(
    ("address", "args", "reason"),
    [
        ("/vivant/style/chalk", (1.0,), "unknown_address"),
        (RESET + NORM, (1.0,), "unknown_address"),
        (STRENGTH, ("0.5",), "wrong_type"),
        (STRENGTH, (None,), "wrong_type"),
        (STRENGTH, (b"\0",), "wrong_type"),
        (STRENGTH, ([0.5],), "wrong_type"),
        (STRENGTH, (1.02,), "out_of_range"),
        (STRENGTH, (10**400,), "out_of_range"),
        (STRENGTH, (math.nan,), "not_finite"),
        (EXPOSURE + NORM, (math.inf,), "not_finite"),
        (EXPOSURE + NORM, (-1,), "out_of_range"),
        (STRENGTH, (), "wrong_arity"),
        (STRENGTH, (0.1, 0.2), "wrong_arity"),
        (MIRROR, (0.5,), "out_of_range"),
        (MIRROR, ("true",), "wrong_type"),
        (ASPECT, ("stretch",), "out_of_range"),
        (ASPECT, (2,), "out_of_range"),
        (ASPECT, (0.5,), "wrong_type"),
        (ASPECT, (True,), "wrong_type"),
        (STEPS, (0,), "out_of_range"),
        (STEPS, (4,), "out_of_range"),
        ("/vivant/status/late", (1,), "read_only"),
    ],
)
def test_a_refused_value_changes_nothing_and_is_counted(
    tree: Tree, address: str, args: tuple[object, ...], reason: str
) -> None:
    before, version = tree.values(), tree.version
    assert tree.set(address, args, 0, "osc").reason == reason
    assert (tree.values(), tree.version) == (before, version)
    assert tree.counts() == {"osc": {reason: 1}}


@given(st.sampled_from(Tree(parameters_for()).addresses()), st.lists(ANYTHING, max_size=3))
def test_whatever_is_set_the_values_stay_in_their_ranges(address: str, args: list[object]) -> None:
    tree = Tree(parameters_for())
    tree.set(address, args, 0, "osc")
    tree.tick(SECOND_NS)
    for one in tree.parameters.values():
        if one.kind != "action" and not one.read_only:
            value = tree.value(one.address)
            assert value in one.choices if one.choices else one.minimum <= float(value) <= one.maximum
            assert 0.0 <= one.norm(value) <= 1.0


@given(st.data())
def test_the_norm_door_and_the_norm_of_a_value_agree(data: st.DataObject) -> None:
    tree = Tree(parameters_for())
    one = data.draw(
        st.sampled_from([p for p in tree.parameters.values() if p.kind == "float" and not p.read_only])
    )
    share = data.draw(st.floats(0, 1))
    outcome = coerce(one, (share,), norm=True)
    assert one.norm(outcome.value) == pytest.approx(share, abs=1e-12)  # two float64 roundings of the range


def test_choosing_a_style_fades_the_weights_and_keeps_their_sum(tree: Tree) -> None:
    tree.set("/vivant/style/fade_s", (2.0,), 0, "osc")
    tree.set(CHOOSE, ("ink",), 0, "osc")
    assert (tree.value(OIL), tree.value(INK)) == (1.0, 0.0)
    tree.tick(SECOND_NS)
    assert tree.value(OIL) == pytest.approx(0.5)
    assert tree.value(INK) == pytest.approx(0.5)
    tree.tick(round(1.3 * SECOND_NS))
    assert float(tree.value(OIL)) + float(tree.value(INK)) == pytest.approx(1.0)
    tree.tick(2 * SECOND_NS)
    assert (tree.value(OIL), tree.value(INK)) == (0.0, 1.0)


def test_a_weight_set_by_hand_leaves_the_fade(tree: Tree) -> None:
    tree.set(CHOOSE, ("ink",), 0, "osc")
    tree.set(OIL, (0.7,), SECOND_NS, "osc")
    tree.tick(9 * SECOND_NS)
    assert (tree.value(OIL), tree.value(INK)) == (0.7, 1.0)


def test_choosing_the_chosen_style_again_goes_back_to_it_alone(tree: Tree) -> None:
    tree.set(INK, (1.0,), 0, "osc")
    tree.set("/vivant/style/fade_s", (0,), 0, "osc")
    tree.set(CHOOSE, ("oil",), 0, "osc")
    assert (tree.value(OIL), tree.value(INK)) == (1.0, 0.0)


def test_a_fade_begins_and_ends_where_it_should() -> None:
    fade = Fade(0.2, 0.8, start_ns=10, duration_ns=100)
    assert [fade.at(now) for now in (0, 10, 60, 110, 500)] == pytest.approx([0.2, 0.2, 0.5, 0.8, 0.8])
    assert Fade(0.0, 1.0, 10, 0).at(10) == 1.0


@given(st.floats(-1, 2))
def test_a_smooth_step_and_its_mirror_make_one(share: float) -> None:
    assert smooth(share) + smooth(1 - share) == pytest.approx(1.0, abs=1e-9)  # float64 rounding of 1 - share


def test_reset_returns_to_what_the_show_started_with(tree: Tree) -> None:
    tree.start_with({EXPOSURE: 0.5, CHOOSE: "ink"}, "scene")
    assert (tree.value(EXPOSURE), tree.value(INK), tree.value(OIL)) == (0.5, 1.0, 0.0)
    tree.set(EXPOSURE, (1.0,), 5, "osc")
    tree.set(CHOOSE, ("engraving",), 5, "osc")
    tree.set(RESET, (), 6, "osc")
    tree.tick(9 * SECOND_NS)
    assert (tree.value(EXPOSURE), tree.value(CHOOSE), tree.value(INK)) == (0.5, "ink", 1.0)


def test_an_action_fires_on_the_press_and_not_on_the_release(tree: Tree) -> None:
    tree.set(RESET, (1.0,), 7, "osc")
    tree.set(RESET, (0.0,), 8, "osc")
    tree.set(RESET, (), 9, "keys")
    assert [(fired.stamp_ns, fired.source) for fired in tree.actions()] == [(7, "osc"), (9, "keys")]
    assert tree.actions() == ()


def test_a_reader_of_some_actions_leaves_the_others_to_theirs(tree: Tree) -> None:
    tree.set(PANIC, (), 1, "osc")
    tree.set(RESET, (), 2, "osc")
    tree.set(PANIC_RELEASE, (), 3, "osc")
    assert [fired.stamp_ns for fired in tree.actions(PANIC)] == [1, 3]
    assert [fired.stamp_ns for fired in tree.actions()] == [2]


def test_a_reader_is_told_what_changed_since_it_last_looked(tree: Tree) -> None:
    assert [address for _, address in tree.changes(0)] == list(tree.values())
    before = tree.version
    tree.set(EXPOSURE, (1.0,), 0, "osc")
    first = tree.version
    tree.set(STRENGTH, (0.5,), 0, "osc")
    tree.set(STRENGTH, (0.5,), 0, "osc")  # no change, nothing to tell
    assert [address for _, address in tree.changes(before)] == [EXPOSURE, STRENGTH]
    assert tree.changes(first) == [(tree.version, STRENGTH)]
    assert tree.changes(tree.version) == []


def test_controls_are_a_snapshot_that_later_changes_leave_alone(tree: Tree) -> None:
    tree.start_with({STEPS: 2, SEED: 7}, "scene")
    controls = tree.controls(11, 3, (320, 256), want_source=True)
    tree.set(STRENGTH, (1.0,), 12, "osc")
    assert (controls.strength, controls.steps, controls.seed, controls.want_source) == (0.25, 2, 7, True)
    assert (controls.serial, controls.stamp_ns, controls.size_px) == (3, 11, (320, 256))
    assert controls.styles == {name: float(name == "oil") for name in HOUSE_STYLES}
    assert controls.adapters == {}
    assert controls.numbers[STRENGTH] == 0.25
    assert pickle.loads(pickle.dumps(controls)) == controls


@pytest.mark.parametrize(
    ("text", "address", "value"),
    [
        (f"{EXPOSURE}=-0.5", EXPOSURE, -0.5),
        ("style/choose=ink", CHOOSE, "ink"),
        ("student/steps = 2", STEPS, "2"),
        ("present/mirror=on", MIRROR, True),
        ("present/mirror=0", MIRROR, False),
        ("present/aspect=0", ASPECT, 0),
        ("look/exposure/norm=1", EXPOSURE + NORM, 1),
    ],
)
def test_an_assignment_of_the_command_line_is_understood(
    tree: Tree, text: str, address: str, value: object
) -> None:
    assert parse_assignment(text, tree) == (address, value)
    tree.assign([text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "look/exposure",
            "--set look/exposure: write it as ADDRESS=VALUE, for example --set style/choose=ink",
        ),
        ("look/exposur=1", "--set look/exposur=1: unknown parameter; did you mean '/vivant/look/exposure'?"),
        ("qqqqqqqq=1", "--set qqqqqqqq=1: unknown parameter; see: vivant parameters"),
        ("look/exposure=3", "--set look/exposure=3: should be in [-2, 2] EV"),
        ("look/exposure=much", "--set look/exposure=much: should be in [-2, 2] EV"),
        ("look/exposure=nan", "--set look/exposure=nan: should be in [-2, 2] EV"),
        ("look/exposure/norm=2", "--set look/exposure/norm=2: should be in [0, 1]"),
        ("present/aspect=stretch", "--set present/aspect=stretch: should be fit | fill"),
        ("reset=1", "--set reset=1: is an action and holds no value; send it over OSC"),
        ("status/late=1", "--set status/late=1: is only reported, it cannot be set"),
    ],
)
def test_a_wrong_assignment_says_what_is_admitted(tree: Tree, text: str, message: str) -> None:
    with pytest.raises(VivantError) as error:
        tree.assign([text])
    assert str(error.value) == message


@given(st.text(max_size=40))
def test_no_text_after_set_gives_anything_but_an_answer(text: str) -> None:
    tree = Tree(parameters_for())
    try:
        tree.assign([text])
    except VivantError as error:
        assert text in str(error)


def test_the_styles_of_a_student_become_parameters() -> None:
    tree = Tree(parameters_for(("oil", "chalk")))
    assert tree.value("/vivant/style/oil") == 1.0
    assert tree.parameters[CHOOSE].choices == ("oil", "chalk")
    with pytest.raises(ValueError, match="choose"):
        parameters_for(("choose",))


@pytest.fixture
def dressed() -> Tree:
    """A show whose student may wear two media of their own and an adapter that goes with every style."""
    sketches = {name: AdapterSketch(f"as {name}", name != "dusk") for name in ("riso", "pencil", "dusk")}
    return Tree(parameters_for(adapters=sketches))


def test_adapters_become_parameters_and_those_with_a_medium_of_their_own_can_be_chosen(dressed: Tree) -> None:
    assert [dressed.value(f"/vivant/adapter/{name}") for name in ("riso", "pencil", "dusk")] == [0.0] * 3
    assert dressed.parameters[CHOOSE].choices == (*HOUSE_STYLES, "riso", "pencil")
    assert dressed.parameters["/vivant/adapter/dusk"].meaning == "scale of the adapter dusk: as dusk"
    dressed.set("/vivant/adapter/dusk", (0.5,), 0, "osc")
    assert dressed.controls(0, 0, (64, 64)).adapters == {"riso": 0.0, "pencil": 0.0, "dusk": 0.5}
    with pytest.raises(ValueError, match="cycle_s"):
        parameters_for(adapters={"cycle_s": AdapterSketch("", True)})


def test_a_chosen_adapter_fades_in_above_the_styles_and_out_when_another_medium_is_chosen(
    dressed: Tree,
) -> None:
    def seen(now_ns: int) -> list[float]:
        dressed.tick(now_ns)
        addresses = (OIL, INK, "/vivant/adapter/riso", "/vivant/adapter/pencil", "/vivant/adapter/dusk")
        return [float(dressed.value(address)) for address in addresses]

    dressed.set("/vivant/style/fade_s", (2.0,), 0, "osc")
    dressed.set("/vivant/adapter/dusk", (0.3,), 0, "osc")
    dressed.set(CHOOSE, ("riso",), 0, "osc")
    assert seen(SECOND_NS) == pytest.approx([1.0, 0.0, 0.5, 0.0, 0.3])
    assert seen(2 * SECOND_NS) == [1.0, 0.0, 1.0, 0.0, 0.3]
    dressed.set(CHOOSE, ("pencil",), 2 * SECOND_NS, "osc")
    assert seen(3 * SECOND_NS) == pytest.approx([1.0, 0.0, 0.5, 0.5, 0.3])
    dressed.set(CHOOSE, ("ink",), 4 * SECOND_NS, "osc")
    assert seen(6 * SECOND_NS) == [0.0, 1.0, 0.0, 0.0, 0.3]


def test_every_parameter_is_described_and_its_default_is_admitted() -> None:
    def admitted(one: Parameter) -> bool:
        return one.kind == "action" or one.read_only or coerce(one, (one.default,)).verb == "applied"

    for one in parameters_for():
        assert one.address.startswith("/vivant/") and one.address == one.address.lower()
        assert one.meaning and "\n" not in one.meaning
        assert admitted(one), one.address


def test_the_page_about_parameters_is_what_the_tree_says() -> None:
    written = Path(__file__).parents[1] / "docs" / "parameters.md"
    assert written.read_text() == page(Tree(parameters_of("house"))), (
        "run: vivant parameters --markdown > docs/parameters.md"
    )


def test_a_tree_grows_while_it_is_used(dressed: Tree) -> None:
    index = dressed.parameters[CHOOSE].choices.index("pencil")
    dressed.set(CHOOSE, ("pencil",), 0, "osc", fade_s=0.0)
    dressed.set("/vivant/adapter/dusk", (0.5,), 0, "osc")
    seen = dressed.version
    dressed.add(adapter_parameter("linen", AdapterSketch("woven", True)), "linen")
    assert [address for _, address in dressed.changes(seen)] == [CHOOSE, "/vivant/adapter/linen"]
    assert dressed.media[-1] == "linen" and dressed.media[index] == "pencil"
    assert dressed.value(CHOOSE) == "pencil" and dressed.value("/vivant/adapter/dusk") == 0.5
    assert dressed.set("/vivant/adapter/linen/norm", (0.25,), 0, "osc").taken
    assert dressed.controls(0, 0, (64, 64)).adapters["linen"] == 0.25
    dressed.set(CHOOSE, ("linen",), 0, "osc", fade_s=0.0)
    assert dressed.controls(0, 0, (64, 64)).adapters == {"riso": 0, "pencil": 0, "dusk": 0.5, "linen": 1}
    dressed.reset()
    assert dressed.value("/vivant/adapter/linen") == 0.0 and dressed.current["/vivant/adapter/linen"] == 0.0


def test_an_adapter_for_every_style_is_no_medium_and_no_address_comes_twice(dressed: Tree) -> None:
    media, dawn = dressed.media, adapter_parameter("dawn", AdapterSketch("a tint", False))
    dressed.add(dawn)
    assert dressed.media == media and dressed.grown == 1
    with pytest.raises(ValueError, match="is there already"):
        dressed.add(dawn)


def test_scales_of_adapters_go_where_they_are_sent_along_the_curve_over_their_time(dressed: Tree) -> None:
    dusk = "/vivant/adapter/dusk"
    dressed.set(dusk, (0.5,), 0, "osc")
    assert dressed.value(dusk) == 0.5
    for curve, middle in (("linear", 0.75), ("early", 0.5 + 0.5 * math.sin(math.pi / 4)), ("smooth", 0.75)):
        dressed.set(ADAPTERS_FADE_S, (0.0,), 0, "osc")
        dressed.set(dusk, (0.5,), 0, "osc")
        dressed.set(ADAPTERS_FADE_S, (2.0,), 0, "osc")
        dressed.set(ADAPTERS_CURVE, (curve,), 0, "osc")
        dressed.set(dusk, (1.0,), 0, "osc")
        dressed.tick(1_000_000_000)
        assert dressed.value(dusk) == pytest.approx(middle)
        dressed.tick(2_000_000_000)
        assert dressed.value(dusk) == 1.0
    dressed.set("/vivant/look/exposure", (1.0,), 0, "osc")
    assert dressed.value("/vivant/look/exposure") == 1.0


@pytest.mark.parametrize("curve", CURVES)
def test_every_curve_rises_from_0_to_1_and_stays_there(curve: str) -> None:
    seen = [Fade(0.0, 1.0, 0, 100, curve).at(now_ns) for now_ns in range(-20, 140, 5)]
    assert seen[0] == 0.0 and seen[-1] == 1.0 and seen == sorted(seen)
    assert CURVES[curve](-1.0) == 0.0 and CURVES[curve](2.0) == pytest.approx(1.0)


def test_a_value_that_acts_is_heard_each_time_it_is_set() -> None:
    goto = Parameter("/vivant/cues/goto", "choice", "", "start", choices=("start", "a"), acts=True)
    tree = Tree((*parameters_for(), goto))
    tree.set(goto.address, ("a",), 1, "osc")
    tree.set(goto.address, ("a",), 2, "keys")
    tree.set(goto.address, ("b",), 3, "keys")
    assert [(fired.stamp_ns, fired.source) for fired in tree.actions("/vivant/cues/")] == [
        (1, "osc"),
        (2, "keys"),
    ]
    assert tree.value(goto.address) == "a"


def test_a_fade_takes_the_curve_that_is_asked_for_and_its_goal_is_known_on_the_way(tree: Tree) -> None:
    tree.set(EXPOSURE, (1.0,), 0, "cues", 4.0, "linear")
    tree.set(CHOOSE, ("ink",), 0, "cues", 4.0, "linear")
    tree.tick(SECOND_NS)
    assert (tree.value(EXPOSURE), tree.value(INK), tree.value(OIL)) == (0.25, 0.25, 0.75)
    assert (tree.goal(EXPOSURE), tree.goal(INK), tree.goal(STRENGTH)) == (1.0, 1.0, 0.25)
    assert tree.weights_of("ink") == {f"/vivant/style/{name}": float(name == "ink") for name in HOUSE_STYLES}


def test_a_tree_becomes_another_one_and_keeps_the_adapters_that_came_while_it_runs(tree: Tree) -> None:
    tree.add(adapter_parameter("riso", AdapterSketch("", True)), "riso")
    tree.set("/vivant/adapter/riso", (0.5,), 0, "osc")
    other = Tree((*parameters_for(("oil", "ink")), Parameter("/vivant/signal/wind", "float", "", 0.25)))
    other.start_with({EXPOSURE: 1.0}, "scene")
    grown, current = tree.grown, tree.current
    tree.become(other, 0, 2.0)
    tree.tick(SECOND_NS)
    assert (tree.value(EXPOSURE), tree.value("/vivant/signal/wind")) == (0.5, 0.25)
    assert tree.parameters[CHOOSE].choices == ("oil", "ink", "riso")
    assert tree.grown > grown and current is tree.current and "/vivant/style/coral" not in current
    assert tree.begun[EXPOSURE] == 1.0
    assert [address for _, address in tree.changes(0)].count(EXPOSURE) == 1
    again = tree.as_begun()
    assert again.value(EXPOSURE) == 1.0 and again.begun == tree.begun
