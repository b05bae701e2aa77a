"""A diffusers folder is opened as what it is, and paints what diffusers' own pipeline paints from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("diffusers", reason="needs diffusers")
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.diffusion.export import Decode, Encode  # noqa: E402
from vivant.engines.diffusion.load import load_unet, load_vae  # noqa: E402
from vivant.engines.diffusion.model import open_model  # noqa: E402
from vivant.engines.diffusion.steps import ADVANCE, Sampler, img2img, schedule  # noqa: E402
from vivant.engines.diffusion.text import embed, load_encoders  # noqa: E402
from vivant.engines.diffusion.unet import Denoise  # noqa: E402
from vivant.engines.diffusion.wiring import Wiring, guidance_embedding, size_ids  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # diffusers and numpy 2
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    found = {}
    for kind in ("sd", "sdxl"):
        pipeline, folder = tiny.pipeline(kind), tmp_path_factory.mktemp(kind)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(folder)
        found[kind] = pipeline, folder
    return found


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_folder_is_opened_as_what_it_is(folders: dict[str, tuple[Any, Path]], kind: str) -> None:
    model = open_model(folders[kind][1])
    assert model.wiring == Wiring(pooled=kind == "sdxl")
    assert model.sampler == Sampler("euler") and len(model.sigmas) == 1000
    assert model.autoencoder == "AutoencoderTiny" and len(model.text) == (2 if kind == "sdxl" else 1)
    assert (model.size_multiple, model.default_size, model.layers_per_block) == (16, 64, 1)
    lcm = open_model(folders[kind][1], sampler="lcm")
    assert lcm.sampler == Sampler("lcm", grid=50) and lcm.wiring.boundary == 10.0
    dmd2 = open_model(folders[kind][1], sampler=Sampler("lcm"))
    times = [step.timestep for step in schedule(dmd2.sampler, dmd2.sigmas, 4, strength=1.0)]
    assert times == [999, 749, 499, 249]  # what it was distilled on (Yin et al. 2024)


def test_half_precision_weights_are_read_where_there_are_no_others(
    folders: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    pipeline, _ = folders["sd"]
    pipeline.save_pretrained(tmp_path, variant="fp16")
    model = open_model(tmp_path)
    weight = load_unet(model).get_parameter("conv_in.weight")
    torch.testing.assert_close(weight, pipeline.unet.conv_in.weight)
    made = embed(load_encoders(model.text), "a")
    np.testing.assert_allclose(
        made.tokens, embed(load_encoders(open_model(folders["sd"][1]).text), "a").tokens
    )


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_prompts_are_those_of_the_pipeline(folders: dict[str, tuple[Any, Path]], kind: str) -> None:
    pipeline, folder = folders[kind]
    made = embed(load_encoders(open_model(folder).text), "a fox, abc")
    wanted = pipeline.encode_prompt(
        "a fox, abc", device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    np.testing.assert_allclose(made.tokens, wanted[0].numpy(), atol=1e-5)
    assert (made.pooled is None) == (kind == "sd")
    if made.pooled is not None:
        np.testing.assert_allclose(made.pooled, wanted[2].numpy(), atol=1e-5)
    with pytest.raises(EngineError, match="tokens long, and 16 fit"):
        embed(load_encoders(open_model(folder).text), "too many letters for this one")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_pictures_are_those_of_the_pipeline(
    folders: dict[str, tuple[Any, Path]], kind: str, count: int
) -> None:
    pipeline, folder = folders[kind]
    model = open_model(folder)
    denoise = Denoise(load_unet(model), model.sigmas, model.wiring)
    vae = load_vae(model)
    prompt = embed(load_encoders(model.text), "a fox")
    frame = np.random.default_rng(4).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    noise = torch.randn(1, 4, 8, 8, generator=torch.manual_seed(11))
    fixed = {"prompt": torch.from_numpy(prompt.tokens)}
    if prompt.pooled is not None:
        fixed |= {"pooled": torch.from_numpy(prompt.pooled), "size_ids": torch.from_numpy(size_ids((64, 64)))}

    def run(x: Any, sigma: float) -> Any:
        given = {"code": torch.from_numpy(x), "sigma": torch.tensor([[sigma]])} | fixed
        return denoise(*[given[name] for name in denoise.names]).numpy()

    clean = Encode(vae)(torch.from_numpy(frame)).numpy()
    steps = schedule(model.sampler, model.sigmas, count, strength=0.5)
    code = img2img(run, clean, steps, ADVANCE[model.sampler.kind], lambda i: noise.numpy())
    picture = Decode(vae)(torch.from_numpy(code)).numpy()[0, ..., :3]
    sizes = {"original_size": (64, 64), "target_size": (64, 64)} if kind == "sdxl" else {}
    wanted = pipeline(
        "a fox",
        image=torch.from_numpy(frame).permute(0, 3, 1, 2) / 255,
        strength=0.5,
        num_inference_steps=2 * count,
        guidance_scale=0.0,
        generator=torch.manual_seed(11),
        output_type="np",
        **sizes,
    ).images[0]
    off = np.abs(picture.astype(np.float32) - wanted * 255)
    assert wanted.std() > 0.02 and off.max() < 0.6  # half a byte is rounded away


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_pictures_of_an_lcm_are_those_of_its_pipeline(
    folders: dict[str, tuple[Any, Path]], tmp_path: Path, count: int
) -> None:
    """Guidance as an embedding, the boundary condition, fresh noise between steps, timesteps on its grid."""
    from diffusers import LatentConsistencyModelImg2ImgPipeline, LCMScheduler

    parts = {k: v for k, v in folders["sd"][0].components.items() if k not in ("unet", "scheduler")}
    pipeline = LatentConsistencyModelImg2ImgPipeline(
        **parts,
        unet=tiny.unet(time_cond_proj_dim=12),
        scheduler=LCMScheduler(**tiny.SD),
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(tmp_path)
    model = open_model(tmp_path)
    assert model.wiring == Wiring(boundary=10.0, guidance=True) and model.sampler == Sampler("lcm", grid=50)
    denoise = Denoise(load_unet(model), model.sigmas, model.wiring)
    prompt = torch.from_numpy(embed(load_encoders(model.text), "a fox").tokens)
    guidance = torch.from_numpy(guidance_embedding(3.0, 12))
    draw = torch.manual_seed(11)
    noises = [torch.randn(1, 4, 8, 8, generator=draw).numpy() for _ in range(count + 1)]
    frame = np.random.default_rng(4).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)

    def run(x: Any, sigma: float) -> Any:
        return denoise(torch.from_numpy(x), torch.tensor([[sigma]]), prompt, guidance).numpy()

    clean = Encode(load_vae(model))(torch.from_numpy(frame)).numpy()
    steps = schedule(model.sampler, model.sigmas, count, strength=0.5)
    code = img2img(run, clean, steps, ADVANCE[model.sampler.kind], lambda i: noises[i])
    picture = Decode(load_vae(model))(torch.from_numpy(code)).numpy()[0, ..., :3]
    wanted = pipeline(
        "a fox",
        image=torch.from_numpy(frame).permute(0, 3, 1, 2) / 255,
        strength=0.5,
        num_inference_steps=count,
        guidance_scale=3.0,
        generator=torch.manual_seed(11),
        output_type="np",
    ).images[0]
    off = np.abs(picture.astype(np.float32) - wanted * 255)
    assert wanted.std() > 0.02 and off.max() < 0.6  # half a byte is rounded away


def test_all_problems_of_a_folder_are_said_at_once(
    folders: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "broken"
    shutil.copytree(folders["sdxl"][1], folder)
    for path in (folder / "unet").glob("*.safetensors"):
        path.rename(path.with_suffix(".bin"))
    (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"torn")
    shutil.rmtree(folder / "tokenizer_2")
    changed(folder / "unet" / "config.json", in_channels=9)
    changed(folder / "vae" / "config.json", latent_channels=16)
    changed(
        folder / "scheduler" / "scheduler_config.json", _class_name="PNDMScheduler", prediction_type="flow"
    )
    with pytest.raises(EngineError) as caught:
        open_model(folder)
    text = str(caught.value)
    assert "7 problems" in text
    for part in (
        "in_channels is 9",
        "a pickle, which can run code",
        "PNDMScheduler is not for few steps; name what it was distilled for: euler",
        "prediction_type 'flow'",
        "16 latent channels",
        "diffusion_pytorch_model.safetensors cannot be read",
        "tokenizer_2: missing",
    ):
        assert part in text
    with pytest.raises(EngineError, match=r"model_index\.json cannot be read"):
        open_model(tmp_path)


def changed(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_a_lora_that_makes_the_base_fast_is_fused_into_it(
    folders: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    model = open_model(folders["sd"][1])
    plain = load_unet(model)
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    size = plain.get_submodule(layer).weight.shape[0]
    up, down = np.ones((size, 20), np.float32), np.ones((20, size), np.float32)
    flat = f"lora_unet_{layer.replace('.', '_')}"
    save_file(
        {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up, f"{flat}.alpha": np.float32([5])},
        tmp_path / "lcm.safetensors",
    )
    fused = load_unet(model, {tmp_path / "lcm.safetensors": 0.5})
    change = fused.get_submodule(layer).weight - plain.get_submodule(layer).weight
    torch.testing.assert_close(change, torch.full((size, size), 0.5 * 5 / 20 * 20))
