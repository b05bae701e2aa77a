"""Coherence: what no encoder makes is held, what one makes is not, and its file fails closed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from test_guard import scene

from vivant.engines.card import Card
from vivant.engines.kinds import load_student
from vivant.engines.student import find
from vivant.guardrails.coherence import (
    KIND,
    NAME,
    Coherence,
    Coherent,
    arrays_of,
    coherence_of,
    in_guard_of,
    policies_of,
)
from vivant.guardrails.envelope import fitted_of, read_arrays, write
from vivant.guardrails.guard import Guard
from vivant.guardrails.spoil import CHANGED, WAYS, changed, spoiled, spoiled_code
from vivant.runtime.frames import Controls, Judgement, Latent

SIZE = (96, 96)
CONTROLS = Controls(strength=0.1, styles={"ink": 1.0})
COUNT = 160


def latents(count: int, first: int = 0) -> list[Latent]:
    made = []
    with load_student("null", "null", "float", SIZE, 1) as student:
        for index in range(count):
            one = student.denoise(student.encode(scene(first + index, SIZE)), CONTROLS)
            made.append(Latent(one.code.copy(), one.guide.copy()))
    return made


@pytest.fixture(scope="module")
def found():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    torch.set_num_threads(1)
    from vivant.guardrails.coherence_fit import fit_coherence

    seen = latents(COUNT)
    stored = [(np.concatenate([one.code for one in seen]), np.concatenate([one.guide for one in seen]))]
    shares: list[float] = []
    fitted = fit_coherence(stored, steps=240, false_hold_rate=0.01, tell=shares.append)
    assert shares[-1] == 1.0 and sorted(shares) == shares
    return fitted


@pytest.mark.torch
def test_spoiled_latents_are_held_and_new_ones_are_not(found):
    (policy,) = policies_of(arrays_of(found))
    assert policy.name == NAME
    new = latents(60, 5000)
    rng = np.random.default_rng(4)
    passed = [policy.judge(one, CONTROLS).admits for one in new]
    held = [policy.judge(spoiled(one, rng), CONTROLS) for one in new]
    assert sum(passed) >= 57
    assert sum(not verdict.admits for verdict in held) >= 54
    assert {verdict.reason for verdict in held if not verdict.admits} == {f"looks like {KIND}"}


@pytest.mark.torch
def test_its_layers_say_what_its_graph_says(found):
    torch = pytest.importorskip("torch")
    from torch.nn.functional import conv2d

    (policy,) = policies_of(arrays_of(found))
    layers = {name: torch.from_numpy(array) for name, array in found.layers.arrays().items()}
    for latent in latents(4, 7000):
        code, guide = torch.from_numpy(latent.code), torch.from_numpy(latent.guide)
        x = conv2d(code, layers["of_code"], layers["bias"], stride=2)
        x = (x + conv2d(guide, layers["of_guide"], stride=8)).relu()
        for index in range(len(found.layers.blocks)):
            x = conv2d(x, layers[f"deep{index}"], padding=1, groups=x.shape[1])
            x = conv2d(x, layers[f"point{index}"], layers[f"bias{index}"]).relu()
        pooled = torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)
        wanted = float(pooled @ layers["head"].T + layers["head_bias"])
        assert policy.logit(latent) == pytest.approx(wanted, rel=1e-3, abs=1e-3)


@pytest.mark.torch
@pytest.mark.parametrize("guided", [True, False])
def test_the_graph_says_what_the_network_says_at_every_size(guided):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from vivant.guardrails.coherence_net import LocalNet, graph_of, layers_of

    torch.manual_seed(0)
    net = LocalNet(4, guided)
    for norm in net.norms:
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2.0)
    net.eval()
    policy = Coherent(Coherence(graph_of(net), 0.0, layers_of(net), guided, 1, 1e-3))
    for size in (8, 13, 20, 8):
        rng = np.random.default_rng(size)
        code = rng.standard_normal((1, 4, size, size)).astype(np.float32)
        guide = rng.uniform(size=(1, 1, 4 * size, 4 * size)).astype(np.float32) if guided else None
        with torch.no_grad():
            wanted = float(net(torch.from_numpy(code), None if guide is None else torch.from_numpy(guide)))
        assert policy.logit(Latent(code, guide)) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.torch
def test_arrays_that_are_filled_again_and_such_that_lie_elsewhere_are_looked_at_anew(found):
    (policy,) = policies_of(arrays_of(found))
    first, second = latents(2, 6000)
    wanted = [policy.logit(one) for one in (first, second)]
    assert wanted[0] != wanted[1]
    code, guide = first.code.copy(), first.guide.copy()
    assert policy.logit(Latent(code, guide)) == wanted[0]
    code[...], guide[...] = second.code, second.guide
    assert policy.logit(Latent(code, guide)) == wanted[1]
    assert policy.logit(first) == wanted[0]
    strided = np.repeat(second.code, 2, axis=3)[..., ::2]  # no engine leaves such a one
    for _ in range(2):
        assert policy.logit(Latent(strided, second.guide)) == wanted[1]
        strided[...] = first.code
        assert policy.logit(Latent(strided, first.guide)) == wanted[0]
        strided[...] = second.code


@pytest.mark.torch
def test_what_is_of_another_kind_is_held(found):
    (policy,) = policies_of(arrays_of(found))
    (one,) = latents(1, 6100)
    policy.prepare(Latent(one.code[:, :8], one.guide))  # that is left to be judged
    for wrong in (Latent(one.code[:, :8], one.guide), Latent(one.code, None), Latent(one.code[0], one.guide)):
        verdict = policy.judge(wrong, CONTROLS)
        assert verdict.judgement is Judgement.HOLD and verdict.score == 0.0


@pytest.mark.torch
def test_it_lies_in_the_guard_file_of_its_student_and_judges_there(found, tmp_path: Path):
    card = Card.read(find("null"))
    own, sha256 = find("null") / card.guard.file, card.guard.sha256
    assert not in_guard_of(own, sha256)
    fitted = fitted_of(read_arrays(own, sha256), own)
    path = tmp_path / "guard.npz"
    path.write_bytes(write(fitted, arrays_of(found)))
    guard = Guard.load(path, digest(path))
    assert in_guard_of(path, digest(path)) and not guard.closed
    (latent,) = latents(1, 900)
    assert guard.judge(latent, CONTROLS).admits
    assert guard.counts[f"{NAME}.pass"] == 1
    turned = Latent(np.ascontiguousarray(latent.code[:, ::-1]), latent.guide)
    assert guard.judge(turned, CONTROLS).judgement is Judgement.HOLD


@pytest.mark.torch
@pytest.mark.parametrize(
    "broken",
    [
        {"coherence_graph": np.zeros(9, np.uint8)},
        {"coherence_threshold": np.array(np.nan)},
        {"coherence_version": np.array(99)},
        {"coherence_of_code": None},
    ],
)
def test_a_broken_one_closes_the_guard(found, tmp_path: Path, broken):
    card = Card.read(find("null"))
    own = find("null") / card.guard.file
    fitted = fitted_of(read_arrays(own, card.guard.sha256), own)
    arrays = {name: array for name, array in (arrays_of(found) | broken).items() if array is not None}
    path = tmp_path / "guard.npz"
    path.write_bytes(write(fitted, arrays))
    guard = Guard.load(path, digest(path))
    assert guard.closed and guard.judge(latents(1)[0], CONTROLS).judgement is Judgement.HOLD


@pytest.mark.torch
def test_it_reads_back_as_it_was_written(found):
    again = coherence_of(arrays_of(found))
    assert again.graph == found.graph and again.threshold == found.threshold and again.count == COUNT
    kept = found.layers.arrays()
    assert again.layers.arrays().keys() == kept.keys() and len(again.layers.blocks) == len(
        found.layers.blocks
    )
    assert all(np.array_equal(array, kept[name]) for name, array in again.layers.arrays().items())
    assert coherence_of({}) is None and policies_of({}) == ()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_spoiling_gives_another_code_of_the_same_shape(way):
    code = np.random.default_rng(1).standard_normal((1, 16, 12, 12), np.float32)
    kept = code.copy()
    found = WAYS[way](code, np.random.default_rng(3))
    assert found.shape == code.shape and found.dtype == np.float32 and np.isfinite(found).all()
    assert changed(code, found)
    np.testing.assert_array_equal(code, kept)


def test_a_blank_wall_is_spoiled_too():
    """Values exchanged on it are the same wall: such a way is passed over."""
    wall = np.full((1, 16, 12, 12), 0.1, np.float32)
    for seed in range(40):
        found = spoiled_code(wall, np.random.default_rng(seed))
        assert np.sqrt(np.square(found - wall).mean()) > CHANGED


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
