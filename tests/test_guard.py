"""The guard: what it admits, what it holds, and that it fails closed."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest

from vivant.engines.card import read_checked
from vivant.engines.kinds import load_student
from vivant.engines.student import Student
from vivant.guardrails.envelope import Envelope, GuardFileError, read, write
from vivant.guardrails.fit import FitError, fit_envelope, fit_statistics, plain_structures, shrunk_covariance
from vivant.guardrails.guard import Guard
from vivant.guardrails.measure import channels_of, length, measure
from vivant.guardrails.sanity import Sanity
from vivant.runtime.frames import Controls, Judgement, Latent, ManualClock, Verdict

SIZE = (128, 128)
CONTROLS = Controls(strength=0.1, styles={"ink": 1.0})


def scene(seed: int, size_px: tuple[int, int] = SIZE) -> np.ndarray:
    """Soft shapes over a gradient: a frame (H, W, 3) with the statistics of a room."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    width, height = size_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    frame = (x / width)[:, :, None] * rng.uniform(0, 0.4, 3) + (y / height)[:, :, None] * rng.uniform(
        0, 0.4, 3
    )
    for _ in range(12):
        radius, soft = rng.uniform(4, 30), rng.uniform(1, 6)
        distance = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height)) - radius
        cover = 1 / (1 + np.exp(np.clip(distance / soft, -50, 50)))[:, :, None]
        frame = frame * (1 - cover) + cover * rng.uniform(0, 1, 3)
    frame += rng.normal(0, 0.01, frame.shape)
    return (np.clip(frame, 0, 1) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def student():
    with load_student("null", "null", "float", SIZE, 1) as loaded:
        yield loaded


def latent_of(student: Student, frame: np.ndarray) -> Latent:
    made = student.denoise(student.encode(frame), CONTROLS)
    return Latent(made.code.copy(), made.guide.copy())


@pytest.fixture(scope="module")
def fitted(student, tmp_path_factory):
    frames = [scene(i) for i in range(500)] + [x for i in range(4) for x in plain_structures(SIZE, i)]
    path = tmp_path_factory.mktemp("guard") / "guard.npz"
    fit_envelope([latent_of(student, frame) for frame in frames], path)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def guard(fitted):
    return Guard.load(fitted, digest(fitted), ManualClock())


@pytest.fixture
def latent(student):
    return latent_of(student, scene(9000))


def test_new_frames_of_the_same_kind_are_admitted(guard, student):
    verdicts = [guard.judge(latent_of(student, scene(9000 + i)), CONTROLS) for i in range(40)]
    assert [v for v in verdicts if not v.admits] == []
    assert all(0.5 <= v.score <= 1 for v in verdicts)
    assert guard.counts["envelope.pass"] == guard.counts["sanity.pass"] == 40


@pytest.mark.parametrize("level", [0, 1, 40, 128, 235, 255])
def test_flat_rooms_from_black_to_white_are_admitted(guard, student, level):
    verdict = guard.judge(latent_of(student, np.full((128, 128, 3), level, np.uint8)), CONTROLS)
    assert verdict.judgement is Judgement.PASS, verdict


def test_low_light_and_gradients_are_admitted(guard, student):
    for frame in plain_structures(SIZE, 777):
        verdict = guard.judge(latent_of(student, frame), CONTROLS)
        assert verdict.admits, verdict


def noise(code, rng):
    return rng.standard_normal(code.shape)


SPOILED = {
    "noise": noise,
    "saturated": lambda code, rng: np.sign(code) * 15,
    "offset": lambda code, rng: code + 4,
    "one channel far off": lambda code, rng: code + 4 * (np.arange(16) == 5)[None, :, None, None],
    "negated": lambda code, rng: -code,
    "amplified": lambda code, rng: code * 6,
    "constant": lambda code, rng: code * 0,
    "NaN": lambda code, rng: np.where(np.arange(code.size).reshape(code.shape) == 77, np.nan, code),
    "infinite": lambda code, rng: np.where(np.arange(code.size).reshape(code.shape) == 77, np.inf, code),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_code_is_held(guard, latent, kind):
    assert guard.judge(latent, CONTROLS).admits  # so that the spoiling is what is held
    rng = np.random.Generator(np.random.Philox(key=1))
    spoiled = SPOILED[kind](latent.code, rng).astype(np.float32)
    verdict = guard.judge(Latent(spoiled, latent.guide), CONTROLS)
    assert verdict.judgement is Judgement.HOLD, verdict


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5])
def test_a_guide_that_is_no_luma_is_held(guard, latent, value):
    guide = latent.guide.copy()
    guide[0, 0, 3, 3] = value
    assert guard.judge(Latent(latent.code, guide), CONTROLS).judgement is Judgement.HOLD


def test_a_guide_of_another_picture_is_held(guard, latent, student):
    other = latent_of(student, 255 - scene(9000))
    verdict = guard.judge(Latent(latent.code, other.guide), CONTROLS)
    assert verdict.judgement is Judgement.HOLD, verdict


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: Latent(x.code[:, :8], x.guide),
        lambda x: Latent(x.code, x.guide[:, :, ::2]),
        lambda x: Latent(x.code[0], x.guide),
        lambda x: Latent(x.code.astype(np.float64), x.guide),
        lambda x: Latent(x.code[:, :, :0], x.guide[:, :, :0]),
        lambda x: Latent(x.code, x.guide, sigma=0.3),
        lambda x: Latent(x.code, x.guide, scaled=False),
        lambda x: None,
    ],
)
def test_a_malformed_latent_is_held_not_raised(guard, latent, wrong):
    assert guard.judge(wrong(latent), CONTROLS).judgement is Judgement.HOLD


@pytest.mark.parametrize("size_px", [(320, 320), (512, 384)])
def test_the_statistics_are_of_one_length_at_every_size(size_px):
    with load_student("null", "null", "float", size_px, 1) as student:
        assert measure(latent_of(student, scene(1, size_px))).shape == (length(16),)
    assert channels_of(length(16)) == 16


def natural(seed: int, scale: float = 1.0, size: int = 24) -> Latent:
    """A code without a guide, of four channels that go together, as a diffusion model's: broad shapes."""
    rng = np.random.default_rng(seed)
    broad = rng.standard_normal((2, size // 4, size // 4)).repeat(4, 1).repeat(4, 2)
    mixed = np.array([[1, 0.2], [0.7, -0.6], [0.1, 1], [-0.5, 0.4]])
    code = np.einsum("ci,ihw->chw", mixed, broad) + 0.3 * rng.standard_normal((4, size, size))
    return Latent(np.float32(scale * code)[None], None)


def test_a_latent_without_a_guide_is_judged_by_its_code(tmp_path):
    path = tmp_path / "guard.npz"
    fitted = fit_envelope((natural(i) for i in range(400)), path)
    assert not fitted.guided and fitted.channels == channels_of(length(4, False), False) == 4
    guard = Guard.load(path, digest(path), ManualClock())
    assert all(guard.judge(natural(5000 + i), CONTROLS).admits for i in range(40))
    assert guard.judge(natural(5000, size=32), CONTROLS).admits
    swapped = natural(1).code[:, [2, 0, 3, 1]]
    for strange in (
        natural(1, 2.5).code,
        natural(1, 0.2).code,
        swapped,
        natural(1).code * np.float32(np.nan),
    ):
        assert guard.judge(Latent(np.ascontiguousarray(strange), None), CONTROLS).judgement is Judgement.HOLD


def test_a_guide_where_none_belongs_is_held_and_none_where_one_belongs(guard, latent, tmp_path):
    assert guard.judge(Latent(latent.code, None), CONTROLS).judgement is Judgement.HOLD
    path = tmp_path / "guard.npz"
    fit_envelope((natural(i) for i in range(400)), path)
    guided = Latent(natural(1).code, np.full((1, 1, 96, 96), 0.5, np.float32))
    bare = Guard.load(path, digest(path), ManualClock())
    assert bare.judge(guided, CONTROLS).judgement is Judgement.HOLD
    with pytest.raises(FitError, match="one kind"):
        fit_envelope((guided if i % 2 else natural(i) for i in range(400)), path)


def test_a_code_too_small_for_blocks_is_held(tmp_path):
    path = tmp_path / "guard.npz"
    fit_envelope((natural(i) for i in range(400)), path)
    small = Latent(natural(1).code[:, :, :2, :2].copy(), None)
    assert Guard.load(path, digest(path), ManualClock()).judge(small, CONTROLS).judgement is Judgement.HOLD


class Says:
    """A policy that says what it is told to."""

    def __init__(self, name, said=None, clock=None, took_s=0.0):
        self.name, self.said, self.clock, self.took_s = name, said, clock, took_s

    def judge(self, latent, controls):
        if self.clock:
            self.clock.advance_s(self.took_s)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


PASS = Verdict(Judgement.PASS, 0.9, "fine")
SOFTEN = Verdict(Judgement.SOFTEN, 0.6, "doubtful")
BLANK = Verdict(Judgement.BLANK, 0.0, "forbidden")


def test_the_worst_judgement_wins_and_each_policy_is_counted(latent):
    guard = Guard([Says("a", PASS), Says("b", SOFTEN)])
    assert guard.judge(latent, CONTROLS) == SOFTEN
    assert Guard([Says("a", BLANK), Says("b", RuntimeError())]).judge(latent, CONTROLS) == BLANK
    assert guard.counts["a.pass"] == guard.counts["b.soften"] == 1
    assert guard.counts["a.hold"] == guard.counts["a.error"] == 0


@pytest.mark.parametrize(
    "said",
    [
        RuntimeError("boom"),
        MemoryError(),
        None,
        Verdict(Judgement.PASS, float("nan"), "?"),
        Verdict(Judgement.PASS, 7.0, "?"),
        Verdict(9, 1.0, "?"),  # type: ignore[arg-type]
        Verdict("PASS", 1.0, "?"),  # type: ignore[arg-type]
    ],
)
def test_a_policy_that_fails_is_a_hold_and_counted(latent, said):
    guard = Guard([Says("a", PASS), Says("b", said)])
    assert guard.judge(latent, CONTROLS).judgement is Judgement.HOLD
    assert guard.counts["b.error"] == 1


def test_a_late_verdict_is_a_hold_and_counted(latent):
    clock = ManualClock()
    guard = Guard([Says("slow", PASS, clock, 0.003)], clock, limit_ms=2.0)
    verdict = guard.judge(latent, CONTROLS)
    assert verdict.judgement is Judgement.HOLD and "3.0 ms" in verdict.reason
    assert guard.counts["guard.timeout"] == 1
    assert Guard([Says("slow", PASS, clock, 0.001)], clock, limit_ms=2.0).judge(latent, CONTROLS) == PASS


class Compiles(Says):
    """A policy that takes long to get ready for a size, or cannot."""

    def __init__(self, clock, fails=False):
        super().__init__("compiles", PASS, clock, 0.001)
        self.fails, self.shapes = fails, []

    def prepare(self, latent):
        self.shapes.append(latent.code.shape)
        self.clock.advance_s(0.1)
        if self.fails:
            raise RuntimeError("no memory")


def test_what_a_policy_compiles_for_a_size_is_no_late_verdict(latent):
    clock = ManualClock()
    policy = Compiles(clock)
    guard = Guard([policy], clock, limit_ms=2.0)
    other = Latent(latent.code[:, :, :8, :8], latent.guide[:, :, :32, :32])
    assert all(guard.judge(one, CONTROLS).admits for one in (latent, latent, other, other))
    assert policy.shapes == [latent.code.shape, other.code.shape]
    assert guard.counts["guard.timeout"] == 0


def test_a_policy_that_cannot_get_ready_is_asked_all_the_same_and_the_log_says_so(latent, caplog):
    clock = ManualClock()
    guard = Guard([Compiles(clock, fails=True), Says("b", RuntimeError())], clock)
    with caplog.at_level(logging.ERROR, logger="vivant.guardrails.guard"):
        assert guard.judge(latent, CONTROLS).judgement is Judgement.HOLD
    said = [one.getMessage() for one in caplog.records if one.name == "vivant.guardrails.guard"]
    assert len(said) == 1 and "compiles could not get ready" in said[0]
    assert guard.counts["compiles.pass"] == guard.counts["b.error"] == 1


def test_without_a_guard_file_everything_is_held(latent, tmp_path, caplog):
    guard = Guard.load(tmp_path / "guard.npz", "0" * 64)
    verdict = guard.judge(latent, CONTROLS)
    assert verdict.judgement is Judgement.HOLD and "guard.npz" in verdict.reason
    assert guard.closed and "closed" in caplog.text and guard.counts["guard.closed"] == 1
    assert Guard([]).judge(latent, CONTROLS).judgement is Judgement.HOLD


def test_a_changed_guard_file_closes_the_guard(fitted, tmp_path, latent):
    changed = tmp_path / "guard.npz"
    changed.write_bytes(fitted.read_bytes() + b" ")
    guard = Guard.load(changed, digest(fitted))
    assert "sha256" in guard.closed and not guard.judge(latent, CONTROLS).admits


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", "pickle", "other keys", "other version", "zero threshold"]
)
def test_a_file_that_is_no_guard_is_refused_even_with_its_own_hash(fitted, tmp_path, content):
    path = tmp_path / "guard.npz"
    with np.load(fitted) as kept:
        entries = dict(kept)
    changes = {
        "pickle": {"mean": np.array([{}], dtype=object)},
        "other version": {"version": 99},
        "zero threshold": {"threshold": 0.0},
    }
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "other keys":
        np.savez(path, a=1)
    else:
        np.savez(path, **(entries | changes[content]))
    with pytest.raises(GuardFileError, match=r"guard\.npz"):
        read(path, digest(path))
    assert Guard.load(path, digest(path)).closed


def test_a_fitted_guard_reads_back_as_it_was_written(fitted, tmp_path):
    kept = read(fitted, digest(fitted))
    again = tmp_path / "again.npz"
    again.write_bytes(write(kept))
    other = read(again, digest(again))
    assert np.array_equal(kept.whiten, other.whiten) and kept.threshold == other.threshold
    assert kept.count == 500 + 4 * len(plain_structures(SIZE, 0)) and kept.margin == 1.5


def test_too_few_or_broken_latents_give_no_envelope(student, tmp_path):
    with pytest.raises(FitError, match="too few"):
        fit_envelope([latent_of(student, scene(1))], tmp_path / "guard.npz")
    with pytest.raises(FitError, match="NaN"):
        fit_statistics(np.full((1000, length(16)), np.nan, np.float32), tmp_path / "guard.npz")
    assert not list(tmp_path.iterdir())


def test_the_threshold_keeps_the_stated_rate_on_data_it_has_not_seen(tmp_path):
    rng = np.random.Generator(np.random.Philox(key=3))
    mix = rng.normal(size=(length(16), length(16)))
    x = rng.normal(size=(8000, length(16))) @ mix
    fitted = fit_statistics(
        x[:4000].astype(np.float32), tmp_path / "guard.npz", false_hold_rate=0.02, margin=1.0
    )
    distance2 = (((x[4000:] - fitted.mean) @ fitted.whiten.T) ** 2).sum(1)
    held = (distance2 > fitted.threshold).mean()
    assert 0.01 < held < 0.03  # 0.02 with a binomial deviation of 0.002, and the estimate's own error


def test_shrinking_agrees_with_scikit_learn():
    covariance = pytest.importorskip("sklearn.covariance", reason="needs scikit-learn (the distill extra)")
    rng = np.random.Generator(np.random.Philox(key=4))
    x = rng.normal(size=(60, 20)) @ rng.normal(size=(20, 20))
    x -= x.mean(0)
    wanted, _ = covariance.ledoit_wolf(x, assume_centered=True)
    assert np.allclose(shrunk_covariance(x), wanted, rtol=1e-9)  # the same formula in double precision


def test_shipped_guards_admit_plain_rooms_and_hold_noise(student):
    path, sha256 = student.guard_file
    assert student.card.guard is not None
    read_checked(path.parent, student.card.guard)
    envelope = Envelope.load(path, sha256)
    guard = Guard([Sanity(), envelope], ManualClock())
    for frame in [*plain_structures(SIZE, 555), *(scene(i) for i in range(8))]:
        assert guard.judge(latent_of(student, frame), CONTROLS).admits
    latent = latent_of(student, scene(3))
    code = noise(latent.code, np.random.Generator(np.random.Philox(key=5))).astype(np.float32)
    assert not guard.judge(Latent(code, latent.guide), CONTROLS).admits


@pytest.mark.parametrize(("deviation", "admitted"), [(0.5e-3, False), (2e-3, True)])
def test_a_code_that_hardly_varies_is_held_as_constant(latent, deviation, admitted):
    rng = np.random.Generator(np.random.Philox(key=2))
    code = (0.3 + rng.normal(0, deviation, latent.code.shape)).astype(np.float32)
    assert Sanity().judge(Latent(code, latent.guide), CONTROLS).admits is admitted
