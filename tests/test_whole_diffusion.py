"""A diffusion student's whole frame on one device is the frame that its stages give one by one. On a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[diffusion]'")
pytest.importorskip("diffusers", reason="needs diffusers: pip install '.[diffusion]'")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[diffusion]'")
import tiny_diffusion as tiny  # noqa: E402
from diffusers import EulerDiscreteScheduler, LCMScheduler  # noqa: E402
from test_diffusion_student import SIZE, asking, loras, own_store, scene  # noqa: E402, F401
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture
from tiny_whole import CODES, LEVELS, Both, apart, frame  # noqa: E402

from vivant.engines.diffusion import build as building  # noqa: E402
from vivant.engines.diffusion import folder as folders  # noqa: E402
from vivant.engines.diffusion.bank import Layout, Site  # noqa: E402
from vivant.engines.diffusion.build import Wanted  # noqa: E402
from vivant.engines.diffusion.calibration import Calibration  # noqa: E402
from vivant.engines.diffusion.export import Parity  # noqa: E402
from vivant.engines.diffusion.folder import write_student  # noqa: E402
from vivant.engines.diffusion.on_device import DeviceBank, DiffusionOnDevice  # noqa: E402
from vivant.engines.on_device import on_device, refusal  # noqa: E402
from vivant.guardrails.fit import fit_envelope  # noqa: E402
from vivant.guardrails.guard import Guard  # noqa: E402
from vivant.runtime.frames import Frame, Judgement, MonotonicClock  # noqa: E402
from vivant.runtime.path import Path as PicturePath  # noqa: E402
from vivant.runtime.path import Stopwatch, StudentChoice  # noqa: E402
from vivant.tools.random_student import all_admitting  # noqa: E402

pytestmark = pytest.mark.torch
CPU = torch.device("cpu")
ALIKE = Parity(0.0, 0.0, 200.0)


def written(out: Path, kind: str = "sd", scheduler: Any = EulerDiscreteScheduler, **wanted: Any) -> Path:
    """A tiny student in a folder."""
    autoencoder = tiny.taesd()
    autoencoder.register_to_config(scaling_factor=10.0)  # of random weights: its codes hardly differ
    made = tiny.pipeline(kind, autoencoder)
    made.scheduler = scheduler(**tiny.SD, prediction_type="sample")
    made.save_pretrained(out / "model")
    if wanted.get("controlnet"):
        tiny.controlnet(made.unet).save_pretrained(out / "controlnet")
        wanted["controlnet"] = out / "controlnet"
    frames = [scene(i) for i in range(12)]
    return write_student(
        out / "model", out / "tiny", Wanted(**wanted), frames, fit_envelope, ("float",), "tiny"
    )


def torch_alone(patch: pytest.MonkeyPatch) -> None:
    """Students that are written have weights, and no graphs and no guard: nothing here reads them."""
    patch.setattr(building, "_written", lambda module, given, made, path, half: (path.touch(), ALIKE)[1])
    patch.setattr(folders, "collect", lambda *_: Calibration())
    patch.setattr("test_whole_diffusion.fit_envelope", lambda _, path: path.touch())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("sd"), slots=2, rank=2, attention_only=True)


@pytest.fixture(scope="module")
def lcm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its steps add noise again."""
    with pytest.MonkeyPatch.context() as patch:
        torch_alone(patch)
        return written(tmp_path_factory.mktemp("lcm"), scheduler=LCMScheduler, rank=0)


@pytest.fixture
def both(folder: Path, loras: list[Path]) -> Iterator[Both]:  # noqa: F811
    made = Both(folder, loras)
    yield made
    made.close()


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_whole_frame_is_what_its_stages_give(both: Both, steps: int) -> None:
    painted = [both.paint(frame(seed), asking(0.3, steps=steps)) for seed in range(3)]
    assert apart(painted[0], painted[1]) > 10 * CODES
    assert np.ptp(painted[0][1][..., :3]) > 5


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_steps_that_add_noise_again_add_the_same(lcm: Path, steps: int) -> None:
    both = Both(lcm, fitted=all_admitting(4))
    first = both.paint(frame(1), asking(0.7, steps=steps))
    other = both.paint(frame(1), replace(asking(0.7, steps=steps), seed=6))
    assert apart(first, other) > 10 * CODES
    both.close()


def test_a_strength_below_every_timestep_leaves_the_code_as_it_is(folder: Path) -> None:
    both = Both(folder, fitted=all_admitting(4))
    clean = both.student.encode(frame(1)).code.copy()
    code, _ = both.paint(frame(1), asking(0.0))
    assert np.array_equal(code, clean)
    both.paint(frame(1), asking(0.0021, steps=4))  # two of a thousand timesteps lie below it
    both.close()


def test_prompts_adapters_seeds_and_strength_change_between_two_frames(both: Both) -> None:
    first = both.paint(frame(1), asking(0.4))
    both.prepare(asking(a="a fox", b="b, b"))
    changes = [
        asking(0.4, a="a fox", b="b, b", blend=0.5),
        asking(0.4, a="a fox"),
        asking(0.7),
        asking(0.4, steps=1),
        asking(0.4, adapters={"gold-leaf": 1.0}),
        asking(0.4, adapters={"gold-leaf": 0.5, "smoke": 1.0}),
        asking(0.4, adapters={"smoke": 1.0}),
        asking(0.4, seed_b=9, seed_blend=0.5),
        replace(asking(0.4), seed=8),
    ]
    both.prepare(asking())
    for controls in changes:
        assert apart(both.paint(frame(1), controls), first) > CODES, controls
        assert apart(both.paint(frame(1), asking(0.4)), first) <= CODES


def test_noise_turns_with_the_shows_clock(both: Both) -> None:
    turning = asking(0.7, steps=1, turn_s=4.0)
    codes = [both.paint(frame(1), replace(turning, stamp_ns=ns * 10**8)) for ns in (0, 10, 10, 25)]
    assert apart(codes[0], codes[1]) > CODES and apart(codes[1], codes[2]) == 0.0
    assert apart(codes[2], codes[3]) > CODES


def test_only_what_was_admitted_is_fed_back(both: Both) -> None:
    fed = asking(0.3, feedback=0.6)
    alone = both.paint(frame(1), fed)  # the first frame has nothing before it
    assert apart(alone, both.paint(frame(1), asking(0.3))) <= CODES
    both.paint(frame(2), fed)
    after = both.paint(frame(1), fed)
    assert apart(after, alone) > CODES


def test_a_frame_like_the_last_is_left_out_and_its_picture_stays(both: Both) -> None:
    still = asking(0.3, skip=1e-3)
    first = both.paint(frame(1), still)
    for _ in range(3):
        assert apart(both.paint(frame(1), still), first) == 0.0
    both.paint(frame(2), still)
    both.paint(frame(2), replace(still, seed=6))
    for _ in range(12):  # at most ten in a row
        both.paint(frame(2), replace(still, seed=6))
    for _ in range(2):
        both.paint(frame(2), asking(0.3, skip=1e-3, turn_s=10.0))
    assert both.student.counts["skipped"] == both.alone.counts["skipped"] == 3 + 10 + 1


def test_what_rests_is_averaged_and_what_moves_is_shown_at_once(both: Both) -> None:
    """Also with smoothing off between, a change of adapters, and a frame left out."""
    for pixels in (frame(1), frame(1), frame(2), frame(1)):
        both.paint(pixels, asking(0.3), 0.5)
    for seed in range(4):
        both.paint(frame(1), replace(asking(0.05, steps=1), seed=seed), 0.9)
    both.paint(frame(1), asking(0.3), 0.0)
    for more in ({"skip": 1.0}, {"skip": 1.0}, {"adapters": {"smoke": 0.5}}, {"adapters": {"smoke": 0.5}}):
        both.paint(frame(2), asking(0.3, **more), 0.5)


def test_what_is_not_admitted_is_never_decoded(both: Both) -> None:
    both.paint(frame(1), asking(0.3))
    chosen = both.whole.guard.code.clone()
    both.whole.frame.give_noise(0, np.full(tuple(chosen.shape), np.nan, np.float32))
    held = both.whole.picture(frame(2), asking(0.3), 0.0, 0.9, 0.0)
    assert held.verdict.judgement is Judgement.HOLD and "NaN" in held.verdict.reason
    assert held.pixels.size == 0 and torch.equal(both.whole.guard.code, chosen)


class OnGpu:
    """A loaded student whose engines say that they lie on a GPU: nothing of theirs is run."""

    def __init__(self, student: Any, **facts: Any) -> None:
        self.card = student.card
        self.diffusion = student.diffusion.model_copy(update=facts)
        self.engines = dict.fromkeys(student.engines, SimpleNamespace(device=torch.device("cuda", 0)))


def test_what_cannot_be_in_a_whole_frame_says_why_and_falls_to_its_parts(both: Both) -> None:
    student = both.student
    assert on_device(student) is None and refusal(student) == ""  # on the CPU there is nothing to refuse
    assert refusal(OnGpu(student)) == ""
    for facts, why in (({"batch": 3}, "3 frames are denoised at once"), ({"image": 20}, "image prompt")):
        assert why in refusal(OnGpu(student, **facts)) and on_device(OnGpu(student, **facts)) is None
    other = OnGpu(student)
    other.engines = dict.fromkeys(student.engines, SimpleNamespace(device=None))  # TensorRT alone
    assert "torch for CUDA" in refusal(other) and on_device(other) is None
    other = OnGpu(student)
    other.card = SimpleNamespace(kind="unheard-of")
    assert "kind unheard-of" in refusal(other) and on_device(other) is None


def test_a_row_is_on_the_device_once_and_for_as_long_as_somebody_has_it() -> None:
    bank = DeviceBank(Layout((Site("a", 3, 5),), 2, 2), CPU, torch.bfloat16)
    rows = [np.full(16, value, np.float32) for value in (1.0, 2.0)]
    place = bank.rows.data_ptr()
    for slot, row in ((0, rows[0]), (1, rows[1]), (0, rows[1]), (0, rows[0])):
        bank.hang(slot, row)
        assert (bank.rows[slot].float() == float(row[0])).all()
    assert bank.rows.data_ptr() == place and len(bank._there) == 2
    del row
    rows.clear()
    assert not bank._there


@pytest.fixture
def choice(folder: Path) -> StudentChoice:
    return StudentChoice(str(folder), "torch", "float", 1, 3)


def test_the_shows_path_paints_whole_frames_with_it(
    choice: StudentChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPU stands for the GPU: the very same calls, without a graph."""
    monkeypatch.setattr("vivant.engines.on_device.on_device", lambda one: DiffusionOnDevice(one, CPU))
    made = {}
    with PicturePath(choice, SIZE, asking(0.3)) as path:
        assert path.whole is not None
        for whole in (path.whole, None):
            path.whole = whole
            watch = Stopwatch(MonotonicClock(), np.zeros(8, np.int64))
            watch.start(0)
            made[whole is not None] = path.picture(Frame(frame(1), 1, 0), asking(0.3), watch, 1)
        assert path.counts["part_by_part"] == path.counts["without_graph"] == path.counts["skipped"] == 0
    assert made[True].verdict.admits and made[False].verdict.admits
    assert np.abs(made[True].pixels.astype(int) - made[False].pixels).max() <= LEVELS


def test_frames_that_a_gpu_paints_part_by_part_are_counted(
    choice: StudentChoice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vivant.engines.on_device.refusal", lambda one: "it has an image prompt")
    with PicturePath(choice, SIZE, asking(0.3)) as path:
        path.guard = Guard.load(*path.student.guard_file, limit_ms=10_000)
        for serial in range(1, 4):
            watch = Stopwatch(MonotonicClock(), np.zeros(8, np.int64))
            watch.start(0)
            path.picture(Frame(frame(1), serial, 0), asking(0.3), watch, serial)
        assert path.whole is None and path.counts["part_by_part"] == 3
    assert "policy part_by_part" in caplog.text and "image prompt" in caplog.text


@pytest.mark.parametrize(("control", "sees"), [("fused", "edges"), ("residuals", "frame")])
def test_a_controlnet_guidance_and_a_second_text_encoder_are_in_the_frame(
    control: str, sees: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_alone(monkeypatch)
    wanted = {"controlnet": True, "control": control, "sees": sees}
    both = Both(written(tmp_path, "sdxl", rank=0, negative=True, **wanted), fitted=all_admitting(4))
    both.prepare(asking(a="a fox", negative="ash"))
    plain = both.paint(frame(1), asking(0.7, a="a fox", guidance=1.0, scale=0.0))
    for more in ({"scale": 1.0, "guidance": 1.0}, {"scale": 0.0, "guidance": 2.0}):
        assert apart(both.paint(frame(1), asking(0.7, a="a fox", negative="ash", **more)), plain) > 1e-5
    both.close()
