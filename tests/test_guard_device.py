"""The guard on a device judges as the guard on the host does, and chooses what is decoded."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'vivant[torch]'")

import test_guard as hosts  # noqa: E402
from test_guard import SPOILED, digest, latent_of, scene  # noqa: E402

from vivant.guardrails.acts import DWELL_S, LONG_HOLD_S, READMIT_S, RELEASE_S, Acts  # noqa: E402
from vivant.guardrails.device import MIDDLE, NUMBERS, DeviceGuard, measure, measure_brief  # noqa: E402
from vivant.guardrails.envelope import Envelope  # noqa: E402
from vivant.guardrails.fit import fit_statistics  # noqa: E402
from vivant.guardrails.guard import Guard  # noqa: E402
from vivant.guardrails.measure import measure as measured  # noqa: E402
from vivant.guardrails.measure import measure_brief as measured_in_brief  # noqa: E402
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


PLAIN = np.array([0.25, 0.5, 0.75, 0.0, 0.0], np.float32)  # as Acts asks while nothing was held


def choose(guard: DeviceGuard, latent: Latent, took_ms: float = 0.1, asked: np.ndarray = PLAIN):
    guide = None if latent.guide is None else torch.from_numpy(latent.guide)
    guard.choose(torch.from_numpy(latent.code), guide, torch.from_numpy(asked))
    return guard.verdict(guard.numbers.numpy(), took_ms)


@pytest.mark.parametrize("guided", [True, False, "in brief"])
@pytest.mark.parametrize("sides", [(16, 16), (12, 20), (64, 64)])
def test_the_statistics_are_those_of_the_host(guided, sides):
    """Sums in another order in float32: 1e-4 of logs and correlations that are about one."""
    rng = np.random.default_rng(3)
    height, width = sides
    code = (rng.standard_normal((1, 5, height, width)) * [[[[1]], [[2]], [[0.1]], [[3]], [[1]]]]).astype("f4")
    guide = rng.random((1, 1, 4 * height, 4 * width), dtype=np.float32) if guided else None
    brief = guided == "in brief"
    wanted = (measured_in_brief if brief else measured)(Latent(code, guide))
    other = rng.standard_normal(code.shape, np.float32)  # two at once, as they are when one is drawn
    codes = torch.from_numpy(np.concatenate([other, code]))
    guides = None if guide is None else torch.from_numpy(np.concatenate([1 - guide[:, 0], guide[:, 0]]))
    made = measure_brief(codes, guides) if brief else measure(codes, guides)
    assert made.shape == (2, *wanted.shape)
    assert np.abs(made[1].numpy() - wanted).max() < 1e-4


def test_scores_are_those_of_the_host(device_guard, fitted, student):
    """The distance sums a hundred squared statistics in thresholds: 1e-3 of a score in [0, 1]."""
    host = Envelope.load(fitted, digest(fitted))
    for seed in range(9000, 9012):
        latent = latent_of(student, scene(seed))
        mine, theirs = choose(device_guard, latent), host.judge(latent, CONTROLS)
        assert mine.judgement is theirs.judgement
        assert mine.score == pytest.approx(theirs.score, abs=1e-3)
        assert mine.reason == theirs.reason


def test_a_guard_of_few_statistics_scores_as_on_the_host(student, latent, tmp_path):
    """As above: 1e-3 of a score in [0, 1]."""
    seen = [latent_of(student, scene(seed)) for seed in range(300)]
    path = tmp_path / "guard.npz"
    fit_statistics(np.stack([measured_in_brief(one) for one in seen]), path, brief=True)
    host = Envelope.load(path, digest(path))
    device = DeviceGuard.load(path, digest(path), latent.code.shape, latent.guide.shape, CPU)
    for seed in range(9000, 9006):
        one = latent_of(student, scene(seed))
        mine, theirs = choose(device, one), host.judge(one, CONTROLS)
        assert mine.judgement is theirs.judgement and mine.score == pytest.approx(theirs.score, abs=1e-3)


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


# Softening


class Pair:
    """The guard and its acts on the processor, and the same on a device; one clock, one frame after the
    other."""

    def __init__(self, path, code, guide):
        self.clock = ManualClock()
        self.host, self.acts = Guard.load(path, digest(path), self.clock), Acts(self.clock)
        self.guard = DeviceGuard.load(path, digest(path), code, guide, CPU)
        self.device = Acts(self.clock)

    def see(self, latent, frames=1):
        """What both say, which must be the same, and what is decoded."""
        for _ in range(frames):
            self.chosen, wanted = self.acts.act(self.host, latent, CONTROLS)
            raw = choose(self.guard, latent, asked=self.device.asks())
            which = int(self.guard.numbers[NUMBERS.index("which")])
            made = self.device.again(self.device.told(raw, self.guard.near, which))
            self.clock.advance_s(1 / 30)
        assert made.judgement is wanted.judgement, (made, wanted)
        assert made.score == pytest.approx(wanted.score, abs=2e-3)
        return made, self.guard.code.numpy().copy()


def further(latent, path, least, most):
    """The latent with its code offset until it is so many thresholds out."""
    envelope = Envelope.load(path, digest(path))
    for step in range(1, 400):
        off = Latent(latent.code + np.float32(0.02 * step), latent.guide)
        excess = envelope.distance2(off) / envelope.fitted.threshold
        if least <= excess <= most:
            return off
    raise AssertionError("no offset takes it that far")


@pytest.fixture
def pair(fitted, latent):
    return Pair(fitted, latent.code.shape, latent.guide.shape)


def test_a_latent_a_little_too_far_out_is_drawn_as_on_the_host(pair, fitted, latent):
    """Sums in another order, through a division by a deviation: 1e-4 of a code about one."""
    pair.see(latent, 3)
    made, code = pair.see(further(latent, fitted, 1.05, 2.0))
    assert made.judgement is Judgement.SOFTEN and "softened by" in made.reason
    assert np.abs(code - pair.chosen.code).max() < 1e-4
    assert np.abs(code - latent.code).max() > 1e-3
    made, code = pair.see(latent, 5)
    assert made.judgement is Judgement.SOFTEN and "let go of gently" in made.reason
    assert np.abs(code - pair.chosen.code).max() < 1e-4


def test_it_is_let_go_of_and_then_shown_as_it_is(pair, fitted, latent):
    pair.see(latent, 3)
    pair.see(further(latent, fitted, 1.05, 2.0))
    pair.see(latent, round((DWELL_S + RELEASE_S) * 30) + 2)
    made, code = pair.see(latent)
    assert made.judgement is Judgement.PASS
    assert np.array_equal(code, latent.code)


def test_what_is_far_out_or_comes_before_anything_passed_is_held(pair, fitted, latent):
    near = further(latent, fitted, 1.05, 2.0)
    assert pair.see(near)[0].judgement is Judgement.HOLD
    assert not pair.guard.code.any()
    pair.see(latent, 3)
    far = Latent(latent.code + np.float32(4), latent.guide)
    made, code = pair.see(far)
    assert made.judgement is Judgement.HOLD and np.array_equal(code, latent.code)


def test_after_a_long_hold_the_first_pictures_come_from_the_last_one(pair, latent, student):
    """One frame later than on the host: the device learns from the host that it is over."""
    pair.see(latent, 3)
    pair.see(Latent(latent.code * np.float32(np.nan), latent.guide), round(LONG_HOLD_S * 30) + 2)
    other = latent_of(student, scene(9003))
    held = []
    for _ in range(round(READMIT_S * 30) + 3):
        raw = choose(pair.guard, other, asked=pair.device.asks())
        which = int(pair.guard.numbers[NUMBERS.index("which")])
        held.append(pair.device.again(pair.device.told(raw, pair.guard.near, which)))
        pair.clock.advance_s(1 / 30)
    assert held[0].judgement is Judgement.HOLD
    assert held[-1].judgement is Judgement.SOFTEN and "let go of gently" in held[-1].reason
    assert not any(one.judgement is Judgement.PASS for one in held)
    assert np.abs(pair.guard.code.numpy() - latent.code).max() < np.abs(other.code - latent.code).max()


def test_the_device_says_whether_a_latent_is_the_one_before(device_guard, latent):
    same = NUMBERS.index("same")
    found = []
    for one in (latent, latent, Latent(latent.code * np.float32(1.001), latent.guide), latent):
        choose(device_guard, one)
        found.append(float(device_guard.numbers[same]))
    assert found == [0.0, 1.0, 0.0, 0.0]


def test_what_no_encoder_makes_is_held_as_on_the_host(fitted, latent, student, tmp_path):
    """The network of coherence, of random weights and with its threshold among what it says of some frames;
    float32 sums in another order: 1e-3 of a score."""
    from vivant.guardrails.coherence import Coherence, arrays_of
    from vivant.guardrails.coherence_net import LocalNet, graph_of, layers_of
    from vivant.guardrails.envelope import read, write

    torch.manual_seed(2)
    net = LocalNet(latent.code.shape[1], True).eval()
    latents = [latent_of(student, scene(seed)) for seed in range(9000, 9006)]
    with torch.no_grad():
        said = [float(net(torch.from_numpy(one.code), torch.from_numpy(one.guide))) for one in latents]
    coherence = Coherence(graph_of(net), float(np.median(said)), layers_of(net), True, 9, 1e-3)
    path = tmp_path / "guard.npz"
    path.write_bytes(write(read(fitted, digest(fitted)), arrays_of(coherence)))
    host = Guard.load(path, digest(path), ManualClock())
    device = DeviceGuard.load(path, digest(path), latent.code.shape, latent.guide.shape, CPU)
    found = []
    for one in latents:
        wanted, made = host.judge(one, CONTROLS), choose(device, one)
        assert made.judgement is wanted.judgement and made.reason == wanted.reason
        assert made.score == pytest.approx(wanted.score, abs=1e-3)
        found.append(made.judgement)
    assert found.count(Judgement.HOLD) == 3
    spoilt = tmp_path / "spoilt.npz"
    spoilt.write_bytes(write(read(fitted, digest(fitted)), arrays_of(coherence) | {"coherence_version": 9}))
    assert "version 9" in DeviceGuard.load(spoilt, digest(spoilt), latent.code.shape, None, CPU).closed
