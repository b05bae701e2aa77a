"""Steps, noise and calm of diffusion students; the steps are those of diffusers' own schedulers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.noise import TurningNoise, blended, fresh, noise
from vivant.engines.diffusion.steady import Likeness, remembered
from vivant.engines.diffusion.steps import ADVANCE, Sampler, img2img, schedule, sigmas_of

SHAPE = (1, 4, 8, 8)
SD: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}


def network(x: Any, timestep: float) -> Any:
    """Stands for a UNet: any function of the scaled sample and the timestep."""
    return 0.8 * x - 0.3 * x.roll(1, -1) + 0.1 * math.sin(timestep / 200)


def predicted(kind: str, x: Any, sigma: float, out: Any) -> Any:
    """The clean code that a prediction means, x in k-diffusion's scale."""
    root = math.sqrt(1 + sigma * sigma)
    return {"epsilon": x - sigma * out, "sample": out, "v_prediction": x / root**2 - out * sigma / root}[kind]


def in_diffusers(scheduler: Any, times: Any, clean: Any, noises: list[Any], eta: float | None) -> Any:
    """The loop of a diffusers img2img pipeline."""
    torch = pytest.importorskip("torch")
    x = scheduler.add_noise(clean, noises[0], times[:1])
    step_noise = iter(noises[1:])
    module = __import__(scheduler.__module__, fromlist=["randn_tensor"])
    had = getattr(module, "randn_tensor", None)
    module.randn_tensor = lambda *a, **k: next(step_noise)
    try:
        for time in times:
            out = network(scheduler.scale_model_input(x, time), float(time))
            more = {} if eta is None else {"eta": eta}
            x = scheduler.step(out, time, x, return_dict=False, **more)[0]
    finally:
        module.randn_tensor = had
    assert isinstance(x, torch.Tensor)
    return x.numpy()


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers and numpy 2
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["euler", "euler_ancestral", "ddim", "lcm", "tcd"])
def test_steps_are_those_of_the_schedulers_of_diffusers(
    kind: str, count: int, strength: float, prediction: str
) -> None:
    torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers")
    if kind == "ddim" and count == 3:
        return  # diffusers' DDIM leaves its own timesteps where they do not divide by the steps
    sampler = {
        "lcm": Sampler("lcm", grid=50),
        "tcd": Sampler("tcd", grid=50, eta=0.3, ends_clean=False),
        "ddim": Sampler("ddim", ends_clean=False),
    }.get(kind, Sampler(kind))  # type: ignore[arg-type]
    own = {
        "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
        "euler_ancestral": ("EulerAncestralDiscreteScheduler", {"timestep_spacing": "trailing"}),
        "ddim": (
            "DDIMScheduler",
            {"timestep_spacing": "trailing", "set_alpha_to_one": False, "clip_sample": False},
        ),
        "lcm": ("LCMScheduler", {"timestep_scaling": 1e9}),  # the boundary condition is the network's part
        "tcd": ("TCDScheduler", {}),
    }[kind]
    scheduler = getattr(diffusers, own[0])(**SD, prediction_type=prediction, **own[1])
    if sampler.grid:
        scheduler.set_timesteps(count, strength=strength)
        times = scheduler.timesteps
    else:  # diffusers runs the last `strength` of its steps
        scheduler.set_timesteps(round(count / strength))
        times = scheduler.timesteps[-count:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(len(scheduler.timesteps) - count)
    noises = [noise(3, SHAPE, i) for i in range(count + 1)]
    clean = noise(9, SHAPE)
    sigmas = sigmas_of(SD)
    steps = schedule(sampler, sigmas, count, strength)
    assert [step.timestep for step in steps] == [int(time) for time in times]
    if kind == "tcd":
        scheduler.num_inference_steps = count

    def model(x: Any, sigma: float) -> Any:
        time = float(np.abs(sigmas - sigma).argmin())
        scaled = torch.from_numpy(x) / math.sqrt(1 + sigma * sigma)
        return predicted(prediction, torch.from_numpy(x), sigma, network(scaled, time)).numpy()

    made = img2img(model, clean, steps, ADVANCE[sampler.kind], lambda i: noises[i])
    wanted = in_diffusers(
        scheduler,
        times,
        torch.from_numpy(clean),
        [torch.from_numpy(n) for n in noises],
        sampler.eta if kind == "tcd" else None,
    )
    # float32 over sigmas of up to 14.6, in two scales
    np.testing.assert_allclose(made, wanted, atol=2e-4 * max(1.0, np.abs(wanted).max()))


def test_all_steps_are_run_at_any_strength_and_too_little_room_is_refused() -> None:
    sigmas = sigmas_of(SD)
    steps = schedule(Sampler("euler"), sigmas, 4, 0.37)
    assert [step.timestep for step in steps] == [369, 277, 184, 91]
    assert all(a.then == b.sigma for a, b in itertools.pairwise(steps)) and steps[-1].then == 0.0
    with pytest.raises(EngineError, match=r"4 steps do not fit below strength 0\.04"):
        schedule(Sampler("lcm", grid=50), sigmas, 4, 0.04)


def test_a_zero_terminal_snr_keeps_sigma_finite() -> None:
    sigmas = sigmas_of(SD | {"rescale_betas_zero_snr": True})
    assert np.isfinite(sigmas).all() and (np.diff(sigmas) > 0).all() and sigmas[-1] > 4000


def test_noise_is_the_same_for_the_same_seed_and_other_for_every_stream() -> None:
    assert (noise(1, SHAPE) == noise(1, SHAPE)).all()
    others = [noise(2, SHAPE), noise(1, SHAPE, 1), fresh(1, 0, SHAPE), fresh(1, 1, SHAPE)]
    assert all(abs(np.corrcoef(noise(1, SHAPE).ravel(), other.ravel())[0, 1]) < 0.25 for other in others)


def test_blended_and_turning_noise_keep_unit_variance() -> None:
    large = (1, 4, 64, 64)
    turning = TurningNoise(large, turn_s=20.0)
    made = [blended({1: 1.0, 2: 1.0, 3: 0.5}, large), turning.at(1, 7.0).copy(), turning.at(1, 33.0).copy()]
    for each in made:
        assert abs(float(each.std()) - 1) < 0.03  # 16384 samples: 0.006 a standard deviation
    with pytest.raises(EngineError, match="above zero"):
        blended({1: 0.0}, large)


def test_turning_noise_moves_slowly_and_can_be_replayed() -> None:
    turning, again = TurningNoise(SHAPE, turn_s=10.0), TurningNoise(SHAPE, turn_s=10.0)
    frames = [turning.at(5, i / 30).copy() for i in range(600)]
    steps = [float(np.abs(b - a).mean()) for a, b in itertools.pairwise(frames)]
    assert max(steps) < 0.01 < float(np.abs(frames[-1] - frames[0]).mean())
    np.testing.assert_array_equal(again.at(5, 400 / 30), frames[400])  # out of order, the same
    np.testing.assert_array_equal(TurningNoise(SHAPE).at(5, 99.0), noise(5, SHAPE))


def test_likeness_skips_only_what_is_alike_and_never_for_ever() -> None:
    frame = noise(1, SHAPE)
    likeness = Likeness(tolerance=0.02, most=3)
    assert [likeness.skips(frame + 0.001 * i) for i in range(6)] == [False, True, True, True, False, True]
    assert not likeness.skips(frame + 0.5)
    assert likeness.skips(frame + 0.5)
    likeness.forget()
    assert not likeness.skips(frame + 0.5)
    assert not any(Likeness(tolerance=0.0).skips(frame) for _ in range(3))


def test_remembered_codes_lean_on_the_last_one() -> None:
    a, b = noise(1, SHAPE), noise(2, SHAPE)
    np.testing.assert_array_equal(remembered(a, None, 0.3), a)
    np.testing.assert_allclose(remembered(a, b, 0.25), 0.75 * a + 0.25 * b, atol=1e-6)
