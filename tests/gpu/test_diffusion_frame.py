"""A diffusion student's whole frame as one CUDA graph, on a real GPU. NEVER RUN SO FAR: there was none here.

tests/test_whole_diffusion.py runs the same stages on a CPU.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("diffusers", reason="needs diffusers")

import tiny_diffusion as tiny  # noqa: E402
from tiny_whole import CODES, SIZE, Both, apart, frame, write_lora  # noqa: E402

from vivant.engines.diffusion.torch_parts import Networks  # noqa: E402
from vivant.engines.diffusion.wishes import FEEDBACK, SEED_B, SEED_BLEND, SKIP  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402
from vivant.engines.on_device import on_device  # noqa: E402
from vivant.runtime.frames import Controls, Judgement  # noqa: E402
from vivant.tools.random_student import all_admitting, write_random  # noqa: E402

NEEDS = "torch"
PLAIN = Controls(strength=0.4, steps=2, seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    networks = Networks(tiny.unet(), tiny.taesd())
    return write_random(tmp_path_factory.mktemp("random") / "tiny", networks, SIZE[0], 2, 4, tiny.TOKENS)


@pytest.fixture(scope="module")
def loras(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("loras")
    return [write_lora(place / f"{name}.safetensors", folder, seed) for seed, name in enumerate("ab")]


@pytest.fixture
def both(folder, loras):
    made = Both(folder, loras, all_admitting(4), torch.device("cuda", 0))
    yield made
    made.close()


def with_numbers(**numbers):
    table = {"skip": SKIP, "feedback": FEEDBACK, "seed_b": SEED_B, "seed_blend": SEED_BLEND}
    return dataclasses.replace(PLAIN, numbers={table[key]: value for key, value in numbers.items()})


def test_the_show_is_offered_whole_frames_and_each_number_of_steps_has_a_graph(folder, both):
    with load_student(folder, "torch", "half", SIZE, 1) as student:
        assert on_device(student) is not None
    frames = both.whole.frame
    graphs = {**frames.graphs, "first": frames._first, "again": frames._again}
    assert {name: graph.refusal for name, graph in graphs.items()} == dict.fromkeys(
        [0, 1, 2, 3, 4, "first", "again"], ""
    )


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_one_launch_gives_the_frame_that_the_stages_give_one_by_one(both, steps):
    controls = dataclasses.replace(PLAIN, steps=steps)
    for seed in range(3):
        both.paint(frame(seed), controls, 0.5)


def test_one_graph_serves_prompts_adapters_seeds_strength_and_feedback(both):
    first = both.paint(frame(1), PLAIN)
    changes = [
        dataclasses.replace(PLAIN, adapters={"a": 1.0}),
        dataclasses.replace(PLAIN, adapters={"a": 0.5, "b": 1.0}),
        dataclasses.replace(PLAIN, strength=0.3),
        dataclasses.replace(PLAIN, seed=6),
        with_numbers(seed_b=9, seed_blend=0.5),
        with_numbers(feedback=0.5),
    ]
    for controls in changes:
        assert apart(both.paint(frame(1), controls), first) > CODES
        both.paint(frame(1), PLAIN)
    assert both.whole.without_graph == 0


def test_a_frame_like_the_last_is_left_out(both):
    still = with_numbers(skip=1e-3)
    first = both.paint(frame(1), still)
    for _ in range(3):
        assert apart(both.paint(frame(1), still), first) == 0.0
    assert both.student.counts["skipped"] == 3


def test_what_is_not_admitted_is_never_decoded(both):
    both.paint(frame(1), PLAIN)
    chosen = both.whole.guard.code.clone()
    both.whole.frame.give_noise(0, np.full(tuple(chosen.shape), np.nan, np.float32))
    held = both.whole.picture(frame(2), PLAIN, 0.0, 0.9, 0.0)
    assert held.verdict.judgement is Judgement.HOLD and held.pixels.size == 0
    assert torch.equal(both.whole.guard.code, chosen)


def test_half_precision_paints_whole_what_it_paints_part_by_part_adapters_worn(folder, loras):
    both = Both(folder, loras, all_admitting(4), torch.device("cuda", 0), "half")
    both.paint(frame(1), dataclasses.replace(PLAIN, adapters={"a": 1.0}))
    assert both.student.engines["denoise"].dtypes == {"adapters": torch.float16}
    both.close()


def test_a_thousand_frames_and_two_hundred_swaps_take_no_memory(both):
    def swapped(turn):
        return dataclasses.replace(PLAIN, adapters={"ab"[turn % 2]: 1.0})

    wanted = [both.whole.picture(frame(1), swapped(turn), 0.0, 0.0, 0.0).pixels.copy() for turn in range(2)]
    before = torch.cuda.memory_allocated()
    for turn in range(1000):
        made = both.whole.picture(frame(1), swapped(turn // 5), 0.0, 0.0, 0.0)
        assert np.array_equal(made.pixels, wanted[turn // 5 % 2])
    assert torch.cuda.memory_allocated() == before
