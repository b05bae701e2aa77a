"""The diffusion bench at a tiny size on a CPU, beside the peer's own pipeline where its source is given."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="needs diffusers")
torch = pytest.importorskip("torch", reason="needs torch")

import tiny_diffusion as tiny  # noqa: E402

from vivant.engines.bench import moving_scene  # noqa: E402
from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.diffusion.noise import noise  # noqa: E402
from vivant.engines.diffusion.steps import ADVANCE, img2img, schedule  # noqa: E402
from vivant.engines.diffusion.torch_parts import Networks, random_facts, random_networks, torch_parts  # noqa: E402
from vivant.tools import bench_peer  # noqa: E402
from vivant.tools.bench_peer import PEER, Racer, ours, peers, race, rows_of, told  # noqa: E402

pytestmark = pytest.mark.torch
one_thread = tiny.one_thread
SIZE, TOKENS = 64, 7
PEERS_FOLDER = os.environ.get("VIVANT_PEER", "")


@pytest.fixture(scope="module")
def networks():
    return Networks(tiny.unet(), tiny.taesd())


def test_parts_of_torch_walk_as_img2img_does(networks):
    """The same networks by hand in float32; float32 sums in the same order, a level of the picture."""
    facts = random_facts(networks, SIZE, TOKENS)
    parts = torch_parts(networks, facts, (SIZE, SIZE))
    pixels = moving_scene((SIZE, SIZE))[0][None]
    code = np.empty((1, 4, SIZE // 8, SIZE // 8), np.float32)
    parts["encode"].run({"frame": pixels}, {"code": code})
    prompt = noise(1, (1, TOKENS, tiny.WIDTH))

    def model(x, sigma):
        made = np.empty_like(code)
        given = {
            "code": np.ascontiguousarray(x),
            "sigma": np.full((1, 1), sigma, np.float32),
            "prompt": prompt,
        }
        parts["denoise"].run(given, {"denoised": made})
        return made

    taken = schedule(facts.steps, facts.sigmas, 1, 0.5)
    wanted = img2img(model, code, taken, ADVANCE["euler"], lambda index: noise(0, code.shape))
    picture = np.empty((1, SIZE, SIZE, 4), np.uint8)
    parts["decode"].run({"code": wanted}, {"picture": picture})
    student = bench_peer.RandomStudent(networks, SIZE, lambda network: network, TOKENS)
    guard = bench_peer.DeviceGuard(bench_peer.all_admitting(4), code.shape, None, torch.device("cpu"))
    whole = bench_peer.WholeFrame(student, guard, (), 0)
    made = whole.picture(pixels[0], bench_peer.Controls(), 0.0, 0.0, 0.0)
    assert made.verdict.admits and np.ptp(made.pixels[..., :3]) > 10
    assert np.abs(made.pixels.astype(int) - picture[0]).max() <= 1


def test_a_half_precision_network_is_float32_at_its_doors():
    networks = random_networks(
        torch.device("cpu"),
        torch.bfloat16,
        dict(tiny.unet().config),
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
    )
    parts = torch_parts(networks, random_facts(networks, SIZE, TOKENS), (SIZE, SIZE))
    assert {part.ran_precision for part in parts.values()} == {"bf16"}
    given = {spec.name: np.ones(spec.shape, spec.dtype) for spec in parts["denoise"].inputs}
    made = {"denoised": np.empty(parts["denoise"].outputs[0].shape, np.float32)}
    parts["denoise"].run(given, made)
    assert np.isfinite(made["denoised"]).all() and np.ptp(made["denoised"]) > 0


def test_every_stage_of_a_race_has_a_row_and_the_ratio_is_told(networks):
    def slow(pixels):
        time.sleep(0.002)
        return {}

    racers = [Racer("vivant", ours(networks, SIZE, tokens=TOKENS)), Racer(PEER, slow)]
    race(racers, SIZE, 0.2)
    rows = rows_of(racers, SIZE)
    stages = [row["stage"] for row in rows if row["on"] == "vivant"]
    assert stages == ["upload", "encode", "denoise", "guard", "decode", "download", "total"]
    assert len({row["runs"] for row in rows}) == 1  # in turn
    table = told(rows)
    assert f"{PEER} / vivant: " in table and "| vivant |" in table


def test_a_folder_without_the_peer_is_refused(networks, tmp_path):
    with pytest.raises(EngineError, match="holds no src/streamdiffusion"):
        peers(tmp_path, networks, SIZE)


@pytest.mark.skipif(not PEERS_FOLDER, reason="needs VIVANT_PEER, a checkout of StreamDiffusion")
def test_the_peers_own_pipeline_paints_with_the_same_networks(networks, monkeypatch):
    class Event:  # its pipeline times itself with CUDA's
        def __init__(self, enable_timing=False):
            pass

        def record(self):
            pass

        def elapsed_time(self, end):
            return 1.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    racers = [Racer(PEER, peers(Path(PEERS_FOLDER), networks, SIZE, TOKENS))]
    race(racers, SIZE, 0.1)
    assert racers[0].times_ms["total"]
