"""The whole frame as one CUDA graph of torch, on a real GPU. NEVER RUN SO FAR: written where there is none.

tests/test_whole.py runs the same stages on a CPU.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from test_whole import SIZE, Stepwise, apart  # noqa: E402

from vivant.engines.bench import moving_scene  # noqa: E402
from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.device_graph import Order, StageGraph  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402
from vivant.engines.on_device import on_device  # noqa: E402
from vivant.guardrails.device import DeviceGuard  # noqa: E402
from vivant.runtime.frames import Controls, Judgement  # noqa: E402
from vivant.runtime.whole import WholeFrame  # noqa: E402

NEEDS = "torch"
MOSAIC = Controls(strength=0.3, seed=5, styles={"mosaic": 1.0})


def house(precision):
    return load_student("house", "torch", precision, SIZE, 1)


def whole_of(student):
    return WholeFrame.load(on_device(student), student.guard_file, student.recipes, 3)


@pytest.fixture(scope="module")
def floats():
    with house("float") as loaded:
        yield loaded


@pytest.fixture
def whole(floats):
    return whole_of(floats)


def test_there_is_a_graph_for_each_number_of_steps(whole):
    assert {n: graph.refusal for n, graph in whole.frame.graphs.items()} == {1: "", 2: "", 3: "", 4: ""}
    assert whole.without_graph == 0


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_one_launch_gives_the_frame_that_the_stages_give_one_by_one(floats, whole, steps):
    """float32 sums in another order, and tangents two steps apart: as on a CPU, a quarter of a level."""
    stepwise, controls = Stepwise(floats), dataclasses.replace(MOSAIC, steps=steps)
    for frame in moving_scene(SIZE)[:3]:
        verdict, wanted = stepwise.picture(frame, controls)
        made = whole.picture(frame, controls, 0.5, 0.9, 0.0)
        assert made.verdict.judgement is verdict.judgement is Judgement.PASS
        assert apart(made.pixels, wanted) < 0.25


@pytest.mark.parametrize("precision", ["half", "bf16"])
def test_half_precision_paints_the_same_picture(floats, whole, precision):
    """Eleven or eight bits in every product: two or six levels in the mean."""
    with house(precision) as student:
        made = whole_of(student).picture(moving_scene(SIZE)[0], MOSAIC, 0.0, 0.9, 0.0)
    assert made.verdict.admits
    wanted = whole.picture(moving_scene(SIZE)[0], MOSAIC, 0.0, 0.9, 0.0)
    assert apart(made.pixels, wanted.pixels.astype(int)) < (2 if precision == "half" else 6)


def test_one_graph_serves_every_style_adapter_seed_and_strength(floats, whole):
    stepwise, frame = Stepwise(floats), moving_scene(SIZE)[0]
    adapter = next(iter(floats.wardrobe.adapters))
    for change in ({"styles": {"coral": 1.0}}, {"adapters": {adapter: 1.0}}, {"seed": 9}, {"strength": 0.8}):
        controls = dataclasses.replace(MOSAIC, **change)
        wanted = stepwise.picture(frame, controls)[1]
        assert apart(whole.picture(frame, controls, 0.5, 0.9, 0.0).pixels, wanted) < 1.0


def test_what_is_not_admitted_is_never_decoded(whole):
    frames = moving_scene(SIZE)
    assert whole.picture(frames[0], MOSAIC, 0.0, 0.9, 0.0).verdict.admits
    chosen = whole.guard.code.clone()
    whole.frame.give_noise(0, np.full(chosen.shape, np.nan, np.float32))
    held = whole.picture(frames[4], MOSAIC, 0.0, 0.9, 0.0)
    assert held.verdict.judgement is Judgement.HOLD and held.pixels.size == 0
    assert torch.equal(whole.guard.code, chosen)


def test_a_thousand_frames_stay_where_they_are_and_take_no_memory(whole):
    frame = moving_scene(SIZE)[0]
    first = whole.picture(frame, MOSAIC, 0.0, 0.0, 0.0).pixels.copy()
    before = torch.cuda.memory_allocated()
    for _ in range(1000):
        made = whole.picture(frame, MOSAIC, 0.0, 0.0, 0.0)
    assert np.array_equal(made.pixels, first)
    assert torch.cuda.memory_allocated() == before


def test_every_stage_has_a_time_and_all_fit_in_the_frame(whole):
    for _ in range(3):
        began = time.perf_counter()
        made = whole.picture(moving_scene(SIZE)[0], MOSAIC, 0.5, 0.9, 0.0)
        took_ms = (time.perf_counter() - began) * 1e3
    assert all(ms > 0 for ms in made.timings_ms.values())
    assert sum(made.timings_ms.values()) <= took_ms  # no bound on speed: parts are not longer than the whole


def asking():
    """A stage that asks the host."""
    return float(torch.ones(4, device="cuda").sum().item())


def test_a_stage_that_asks_the_host_cannot_be_captured_and_says_so():
    with pytest.raises(EngineError, match="no_graph"):
        StageGraph([("asks", asking)], Order(torch.device("cuda", 0)))
    assert asking() == 4.0, "the GPU is usable again"


def test_without_a_graph_frames_are_counted():
    graph = StageGraph([("asks", asking)], Order(torch.device("cuda", 0)), "no_graph")
    for _ in range(5):
        graph.launch()
    assert graph.refusal and graph.without_graph == 5


def test_the_guard_judges_on_the_gpu_as_on_the_processor(floats, whole):
    frames = moving_scene(SIZE)
    processor = DeviceGuard.load(
        *floats.guard_file, tuple(whole.guard.code.shape), tuple(whole.guard.guide.shape), torch.device("cpu")
    )
    for frame in frames:
        made = whole.picture(frame, MOSAIC, 0.0, 0.9, 0.0)
        processor.choose(whole.guard.code.cpu(), whole.guard.guide.cpu(), torch.zeros(processor.asked))
        assert processor.verdict(processor.numbers.numpy(), 0.1).score == pytest.approx(
            made.verdict.score, abs=1e-3
        )


def test_a_diffusion_students_graph_paints_what_its_stages_paint():
    pytest.importorskip("diffusers", reason="needs diffusers")
    import tiny_diffusion as tiny

    from vivant.engines.diffusion.torch_parts import Networks
    from vivant.tools.bench_peer import RandomStudent
    from vivant.tools.random_student import all_admitting

    networks = Networks(tiny.unet().cuda().half(), tiny.taesd().cuda().half())
    frame, made = moving_scene((64, 64))[0], []
    for policy in ("stop", "no_graph"):
        student = RandomStudent(networks, 64, lambda network: network, 7)
        guard = DeviceGuard(all_admitting(4), (1, 4, 8, 8), None, student.device)
        painter = WholeFrame(student, guard, (), 0, policy)
        if policy == "no_graph":
            painter.frame.graphs[1]._graph = None
        made.append(painter.picture(frame, Controls(), 0.0, 0.0, 0.0).pixels.astype(int))
    assert np.ptp(made[0][..., :3]) > 10 and np.abs(made[0] - made[1]).max() <= 1
