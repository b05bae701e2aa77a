"""The guard on a device judges as the guard on the host does, and chooses what is decoded."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'vivant[torch]'")

import test_guard as hosts  # noqa: E402
from test_guard import SPOILED, digest, latent_of, scene  # noqa: E402

from vivant.guardrails.device import MIDDLE, NUMBERS, DeviceGuard, measure  # noqa: E402
from vivant.guardrails.envelope import Envelope  # noqa: E402
from vivant.guardrails.guard import Guard  # noqa: E402
from vivant.guardrails.measure import measure as measured  # noqa: E402
from vivant.runtime.frames import Controls, Judgement, Latent, ManualClock  # noqa: E402

pytestmark = pytest.mark.torch
CPU = torch.device("cpu")
CONTROLS = Controls(strength=0.1, styles={"ink": 1.0})
student, fitted = hosts.student, hosts.fitted


@pytest.fixture
def latent(student):
    return latent_of(student, scene(9000))


@pytest.fixture
def device_guard(fitted, latent):
    return DeviceGuard.load(fitted, digest(fitted), latent.code.shape, latent.guide.shape, CPU)


def choose(guard: DeviceGuard, latent: Latent, took_ms: float = 0.1):
    guide = None if latent.guide is None else torch.from_numpy(latent.guide)
    guard.choose(torch.from_numpy(latent.code), guide)
    return guard.verdict(guard.numbers.numpy(), took_ms)


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("sides", [(16, 16), (12, 20), (64, 64)])
def test_the_statistics_are_those_of_the_host(guided, sides):
    """Sums in another order in float32: 1e-4 of logs and correlations that are about one."""
    rng = np.random.default_rng(3)
    height, width = sides
    code = (rng.standard_normal((1, 5, height, width)) * [[[[1]], [[2]], [[0.1]], [[3]], [[1]]]]).astype("f4")
    guide = rng.random((1, 1, 4 * height, 4 * width), dtype=np.float32) if guided else None
    wanted = measured(Latent(code, guide))
    made = measure(torch.from_numpy(code[0]), None if guide is None else torch.from_numpy(guide[0, 0]))
    assert made.shape == wanted.shape
    assert np.abs(made.numpy() - wanted).max() < 1e-4


def test_scores_are_those_of_the_host(device_guard, fitted, student):
    """The distance sums a hundred squared statistics in thresholds: 1e-3 of a score in [0, 1]."""
    host = Envelope.load(fitted, digest(fitted))
    for seed in range(9000, 9012):
        latent = latent_of(student, scene(seed))
        mine, theirs = choose(device_guard, latent), host.judge(latent, CONTROLS)
        assert mine.judgement is theirs.judgement
        assert mine.score == pytest.approx(theirs.score, abs=1e-3)
        assert mine.reason == theirs.reason


def test_what_is_admitted_is_what_is_decoded(device_guard, latent):
    assert choose(device_guard, latent).judgement is Judgement.PASS
    assert np.array_equal(device_guard.code.numpy(), latent.code)
    assert np.array_equal(device_guard.guide.numpy(), latent.guide)


@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_latent_is_held_as_on_the_host_and_the_last_admitted_one_stays(
    device_guard, fitted, latent, kind
):
    assert choose(device_guard, latent).admits
    spoiled = SPOILED[kind](latent.code, np.random.default_rng(1)).astype(np.float32)
    verdict = choose(device_guard, Latent(spoiled, latent.guide * np.float32(0.9)))
    wanted = Guard.load(fitted, digest(fitted), ManualClock()).judge(Latent(spoiled, latent.guide), CONTROLS)
    assert verdict.judgement is wanted.judgement is Judgement.HOLD
    assert verdict.reason.split(":")[0] == wanted.reason.split(":")[0]
    assert np.array_equal(device_guard.code.numpy(), latent.code)
    assert np.array_equal(device_guard.guide.numpy(), latent.guide)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5])
def test_a_guide_that_is_no_luma_is_held_before_anything_was_admitted(device_guard, latent, value):
    guide = latent.guide.copy()
    guide[0, 0, 3, 3] = value
    assert choose(device_guard, Latent(latent.code, guide)).judgement is Judgement.HOLD
    assert not device_guard.code.any() and (device_guard.guide == MIDDLE).all()


def test_a_guard_that_cannot_be_read_admits_nothing_and_says_why(tmp_path, latent):
    closed = DeviceGuard.load(tmp_path / "none.npz", "", latent.code.shape, latent.guide.shape, CPU)
    verdict = choose(closed, latent)
    assert verdict.judgement is Judgement.HOLD and "cannot be read" in verdict.reason
    assert not closed.code.any()


def test_a_guard_of_another_student_admits_nothing(fitted, latent):
    shape = (1, 4, 16, 16)
    other = DeviceGuard.load(fitted, digest(fitted), shape, latent.guide.shape, CPU)
    assert "4 channels, not 16" in choose(other, Latent(np.ones(shape, np.float32), latent.guide)).reason
    unguided = DeviceGuard.load(fitted, digest(fitted), latent.code.shape, None, CPU)
    assert "none where one should be" in choose(unguided, Latent(latent.code, None)).reason


def test_the_host_holds_what_took_too_long_or_what_the_device_did_not_choose(device_guard, latent):
    assert "judging took 31.0 ms" in choose(device_guard, latent, took_ms=31.0).reason
    numbers = device_guard.numbers.numpy().copy()
    numbers[NUMBERS.index("admitted")] = 0.0
    assert "another latent" in device_guard.verdict(numbers, 0.1).reason
    numbers[...] = np.nan
    assert device_guard.verdict(numbers, 0.1).judgement is Judgement.HOLD


def test_buffers_stay_where_a_graph_would_have_recorded_them(device_guard, latent):
    held = device_guard.code, device_guard.guide, device_guard.numbers
    places = [tensor.data_ptr() for tensor in held]
    for _ in range(3):
        choose(device_guard, latent)
    assert [tensor.data_ptr() for tensor in held] == places
