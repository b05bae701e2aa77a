"""A whole frame on one device is the frame that the stages give one by one. On a CPU, without a graph."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'vivant[torch]'")

from vivant.engines.bench import moving_scene  # noqa: E402
from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.field import PlaneField  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402
from vivant.engines.on_device import HouseOnDevice, on_device  # noqa: E402
from vivant.engines.student import shipped  # noqa: E402
from vivant.guardrails.device import DeviceGuard  # noqa: E402
from vivant.guardrails.guard import Guard  # noqa: E402
from vivant.runtime.frames import STAGES, Controls, Frame, Judgement, ManualClock, MonotonicClock  # noqa: E402
from vivant.runtime.path import Path, Stopwatch, StudentChoice  # noqa: E402
from vivant.runtime.rest import Rest  # noqa: E402
from vivant.runtime.whole import WholeFrame  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif("house" not in shipped(), reason="needs the house student"),
]
SIZE = (128, 96)
CPU = torch.device("cpu")
SMOOTH, HOLD, CARRY = 0.5, 0.9, 1.0


@pytest.fixture(scope="module")
def student():
    with load_student("house", "torch", "float", SIZE, 1) as loaded:
        yield loaded


@pytest.fixture
def whole(student):
    return WholeFrame.load(HouseOnDevice(student, CPU), student.guard_file, student.recipes, 3)


class Stepwise:
    """What runtime.path does."""

    def __init__(self, student):
        self.student, self.rest, self.planes = student, Rest(), PlaneField(SIZE, 3)
        self.guard = Guard.load(*student.guard_file)

    def picture(self, pixels, controls):
        latent = self.rest.settle(self.student.encode(pixels), SMOOTH)
        latent = self.student.denoise(latent, controls)
        verdict = self.guard.judge(latent, controls)
        planes = self.planes.update(latent.guide, self.student.dress(controls), HOLD, 0.0)
        return verdict, self.student.decode(latent, planes, controls).astype(int)


def apart(one, other):
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("style", ["mosaic", "engraving"])
def test_a_whole_frame_is_what_its_stages_give(student, whole, style, steps):
    """Tangents may be two steps apart, since OpenCV enlarges in fixed point: a quarter of a level in the
    mean. With oriented planes a block on the border of two orientations may fall to either: a level."""
    controls = Controls(strength=0.4, steps=steps, seed=5, styles={style: 1.0})
    stepwise = Stepwise(student)
    for frame in moving_scene(SIZE)[:3]:
        wanted_verdict, wanted = stepwise.picture(frame, controls)
        made = whole.picture(frame, controls, SMOOTH, HOLD, 0.0)
        assert made.verdict.judgement is wanted_verdict.judgement is Judgement.PASS
        assert made.verdict.score == pytest.approx(wanted_verdict.score, abs=1e-3)
        assert apart(made.pixels, wanted) < (1.0 if style == "engraving" else 0.25)


def test_styles_adapters_seed_and_strength_change_between_two_frames(student, whole):
    frame, stepwise = moving_scene(SIZE)[0], Stepwise(student)
    first = Controls(strength=0.2, seed=1, styles={"mosaic": 1.0})
    adapter = next(iter(student.wardrobe.adapters))
    others = [
        dataclasses.replace(first, styles={"glass": 0.7, "coral": 0.3}),
        dataclasses.replace(first, adapters={adapter: 1.0}),
        dataclasses.replace(first, seed=2, strength=0.8),
    ]
    for controls in (first, *others, first):
        before = whole.picture(frame, first, 0.0, HOLD, 0.0).pixels.copy()
        stepwise.picture(frame, first)
        made = whole.picture(frame, controls, 0.0, HOLD, 0.0)
        assert apart(made.pixels, stepwise.picture(frame, controls)[1]) < 1.0
        assert (apart(made.pixels, before) > 0.1) == (controls is not first)


def test_what_is_not_admitted_is_never_decoded(student, whole):
    """The decoder is watched: after a forbidden latent it still gets the last admitted one."""
    decoded = []
    decode = student.engines["decode"]
    plain, frames = decode.put_tensors, moving_scene(SIZE)
    decode.put_tensors = lambda tensors: (decoded.append(tensors["code"].clone()), plain(tensors))
    controls = Controls(strength=0.2, styles={"mosaic": 1.0})
    try:
        assert whole.picture(frames[0], controls, 0.0, HOLD, CARRY).verdict.admits
        whole.frame.give_noise(0, np.full((1, 16, SIZE[1] // 8, SIZE[0] // 8), np.nan, np.float32))
        held = whole.picture(frames[4], controls, 0.0, HOLD, CARRY)
    finally:
        del decode.put_tensors
    assert held.verdict.judgement is Judgement.HOLD and "NaN" in held.verdict.reason
    assert held.pixels.size == 0
    assert torch.equal(decoded[0], decoded[1]) and torch.isfinite(decoded[1]).all()


def test_every_stage_has_a_time_and_no_frame_is_counted_as_without_graph_on_a_cpu(whole):
    made = whole.picture(moving_scene(SIZE)[0], Controls(styles={"ink": 1.0}), SMOOTH, HOLD, CARRY)
    stages = ["upload", "encode", "denoise", "guard", "planes", "decode", "download"]
    assert list(made.timings_ms) == stages
    assert all(ms >= 0 for ms in made.timings_ms.values()) and made.timings_ms["decode"] > 0
    assert whole.without_graph == 0


def test_buffers_stay_where_a_graph_would_have_recorded_them(whole):
    def places():
        held = [*whole.frame._given.values(), whole.frame._frame, whole.frame._picture, whole.frame._numbers]
        return [mirror.tensor.data_ptr() for mirror in held]

    before = places()
    for index, style in enumerate(("ink", "oil", "coral")):
        controls = Controls(steps=(1, 2, 4)[index], seed=index, styles={style: 1.0})
        whole.picture(moving_scene(SIZE)[index], controls, SMOOTH, HOLD, CARRY)
    assert places() == before


def test_what_moves_carries_its_strokes_along(student, whole):
    frames, controls = moving_scene(SIZE), Controls(strength=0.2, styles={"oil": 1.0})
    for frame in frames[:4]:
        whole.picture(frame, controls, 0.0, 0.0, CARRY)
    carried = whole.frame._field.shift.clone()
    assert carried.any()
    for frame in frames[:4]:
        whole.picture(frame, controls, 0.0, 0.0, 0.0)
    assert not whole.frame._field.shift.any()


def test_a_student_whose_engines_lie_on_no_gpu_runs_stage_by_stage(student):
    assert on_device(student) is None
    with load_student("house", "onnxruntime", "float", SIZE, 1) as other:
        assert on_device(other) is None


def test_what_does_not_fit_is_refused(whole):
    with pytest.raises(EngineError, match="frames are uint8"):
        whole.picture(np.zeros((8, 8, 3), np.uint8), Controls(), SMOOTH, HOLD, CARRY)
    with pytest.raises(EngineError, match="not of 7"):
        whole.picture(moving_scene(SIZE)[0], Controls(steps=7), SMOOTH, HOLD, CARRY)
    with pytest.raises(EngineError, match=r"denoise\.style was given .* it takes float32 \(1, 8\)"):
        whole.frame.give("denoise", "style", np.zeros((1, 3), np.float32))
    with pytest.raises(EngineError, match="no such input"):
        whole.frame.give("decode", "prompt", np.zeros((1, 3), np.float32))


def test_the_shows_path_paints_whole_frames_where_a_student_offers_them(monkeypatch):
    """A CPU stands for the GPU: the very same calls, without a graph."""
    monkeypatch.setattr("vivant.engines.on_device.on_device", lambda student: HouseOnDevice(student, CPU))
    choice = StudentChoice("house", "torch", "float", 1, 3)
    controls = Controls(strength=0.2, styles={"mosaic": 1.0}, numbers={"/vivant/motion/carry": 0.0})
    pixels = moving_scene(SIZE)[0]
    made = {}
    with Path(choice, SIZE) as path:
        for whole in (path.whole, None):
            path.whole = whole
            watch = Stopwatch(MonotonicClock(), np.zeros(8, np.int64))
            frame = Frame(pixels, 1, 0)
            watch.start(0)
            made[whole is not None] = path.picture(frame, controls, watch, 1)
    assert made[True].verdict.judgement is made[False].verdict.judgement is Judgement.PASS
    assert apart(made[True].pixels, made[False].pixels.astype(int)) < 0.5
    assert set(made[True].timings_ms) == set(made[False].timings_ms) <= set(STAGES)
    assert all(ms >= 0 for ms in made[True].timings_ms.values())


@pytest.fixture
def clocked(student):
    """A whole frame and the clock that its guard lives by."""
    clock = ManualClock()
    guard = DeviceGuard.load(*student.guard_file, (1, 16, 12, 16), (1, 1, 48, 64), CPU)
    return WholeFrame(HouseOnDevice(student, CPU), guard, student.recipes, 3, clock=clock), clock


def test_a_latent_a_little_too_far_out_is_softened_before_it_is_decoded(clocked):
    whole, clock = clocked
    frames, controls = moving_scene(SIZE), Controls(strength=0.2, styles={"mosaic": 1.0})
    first = whole.picture(frames[0], controls, 0.0, HOLD, CARRY)
    assert first.verdict.judgement is Judgement.PASS
    anchor = whole.guard.code.clone()
    clock.advance_s(1 / 30)
    excess = -np.log2(whole.picture(frames[3], controls, 0.0, HOLD, CARRY).verdict.score)
    plain = whole.guard.code.clone()
    whole.guard._anchor[0].copy_(anchor)
    whole.guard._threshold *= float(excess) / 1.02
    made = whole.picture(frames[3], controls, 0.0, HOLD, CARRY)
    assert made.verdict.judgement is Judgement.SOFTEN and made.pixels.size
    means = [code.mean((2, 3)) for code in (whole.guard.code, plain, anchor)]
    assert float((means[0] - means[2]).abs().mean()) < 0.9 * float((means[1] - means[2]).abs().mean())


def test_a_student_that_stopped_is_held_while_its_input_moves(clocked, student):
    whole, clock = clocked
    frames, controls = moving_scene(SIZE), Controls(strength=0.0, styles={"mosaic": 1.0})
    assert whole.picture(frames[0], controls, 0.0, HOLD, CARRY).verdict.admits
    encode, found = student.engines["encode"], []
    encode.put_tensors = lambda tensors: None
    try:
        for index in range(8):
            clock.advance_s(0.4)
            found.append(whole.picture(frames[index % len(frames)], controls, 0.0, HOLD, CARRY))
    finally:
        del encode.put_tensors
    assert found[0].verdict.admits
    assert "the latent has been the same for" in found[-1].verdict.reason and not found[-1].pixels.size
    again = []
    for frame in frames[5:8]:
        clock.advance_s(0.4)
        again.append(whole.picture(frame, controls, 0.0, HOLD, CARRY).verdict.judgement)
    assert again == [Judgement.HOLD, Judgement.HOLD, Judgement.SOFTEN]  # not yet; then gently
