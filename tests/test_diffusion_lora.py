"""LoRA files in every dialect become the same slots and equal what diffusers fuses; misfits are explained."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("diffusers", reason="needs diffusers")
pytest.importorskip("peft", reason="needs peft")
import tiny_diffusion as tiny  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.diffusion.bank import Bank, Layout, Pair, change  # noqa: E402
from vivant.engines.diffusion.lora import read_lora, read_pairs  # noqa: E402
from vivant.engines.diffusion.lora_fit import reduce_lora  # noqa: E402
from vivant.engines.diffusion.lora_names import original_names  # noqa: E402
from vivant.engines.diffusion.steps import sigmas_of  # noqa: E402
from vivant.engines.diffusion.text import fuse_text  # noqa: E402
from vivant.engines.diffusion.unet import Denoise, all_sites  # noqa: E402
from vivant.engines.diffusion.wiring import Wiring  # noqa: E402

pytestmark = pytest.mark.torch
LAYERS = 1  # a block of the tiny UNet


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout(all_sites(tiny.unet()), slots=2, rank=4)


def diffusers_names(site: str, half: str) -> str:
    return f"unet.{site}.lora_{'A' if half == 'down' else 'B'}.weight"


def old_diffusers_names(site: str, half: str) -> str:
    if ".attn" in site:
        layer = site.removesuffix(".0").replace(".to_", ".processor.to_")
        return f"unet.{layer}_lora.{half}.weight"
    return f"unet.{site}.lora.{half}.weight"


def peft_names(site: str, half: str) -> str:
    return f"base_model.model.{site}.lora_{'A' if half == 'down' else 'B'}.weight"


def kohya_names(site: str, half: str) -> str:
    return f"lora_unet_{site.replace('.', '_')}.lora_{half}.weight"


def stability_names(site: str, half: str) -> str:
    return f"lora_unet_{original_names(site, LAYERS)[0]}.lora_{half}.weight"


def written(
    path: Path, layout: Layout, pairs: Mapping[str, Pair], named: Callable[[str, str], str], **more: Any
) -> Path:
    held = {}
    taps = {site.name: site.taps for site in layout.sites}
    for site, pair in pairs.items():
        convolution = taps[site] > 1 or "conv" in site or "proj" in site.split(".")[-1]
        down = torch.from_numpy(pair.down if convolution else pair.down[:, :, 0, 0])
        held[named(site, "down")] = down.contiguous()
        held[named(site, "up")] = torch.from_numpy(pair.up if not convolution else pair.up[:, :, None, None])
    save_file(held | more.pop("tensors", {}), path, **more)
    return path


@pytest.mark.parametrize(
    "named", [diffusers_names, old_diffusers_names, peft_names, kohya_names, stability_names]
)
def test_every_dialect_gives_the_same_row(layout: Layout, tmp_path: Path, named: Any) -> None:
    pairs = tiny.random_pairs(layout, 4)
    lora = read_lora(written(tmp_path / "a.safetensors", layout, pairs, named), layout, LAYERS)
    np.testing.assert_allclose(lora.row, layout.pack(pairs), atol=1e-7)
    assert lora.rank == 4 and lora.name == "a" and not lora.text_layers


def test_stabilitys_names_are_those_of_sdxl() -> None:
    known = {  # from the table of Stability's code and diffusers' conversion, two resnets a block
        "down_blocks.1.attentions.0.norm.x": "input_blocks_4_1_norm_x",
        "down_blocks.2.attentions.1.proj_in": "input_blocks_8_1_proj_in",
        "down_blocks.0.downsamplers.0.conv": "input_blocks_3_0_op",
        "down_blocks.2.resnets.0.conv_shortcut": "input_blocks_7_0_skip_connection",
        "mid_block.attentions.0.blocks.9.ff.net.2": "middle_block_1_blocks_9_ff_net_2",
        "mid_block.resnets.1.conv1": "middle_block_2_in_layers_2",
        "up_blocks.0.attentions.2.proj_out": "output_blocks_2_1_proj_out",
        "up_blocks.2.resnets.0.time_emb_proj": "output_blocks_6_0_emb_layers_1",
        "time_embedding.linear_2": "time_embed_2",
    }
    for site, wanted in known.items():
        assert original_names(site, 2) == (wanted,)
    assert "output_blocks_2_2_conv" in original_names("up_blocks.0.upsamplers.0.conv", 2)


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_file_that_diffusers_saved_paints_as_diffusers_fuses_it(kind: str, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = tiny.unet(kind)
    worn = copy.deepcopy(unet)
    worn.add_adapter(
        LoraConfig(
            r=3,
            lora_alpha=5,
            target_modules=["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_shortcut", "proj_in"],
        )
    )
    torch.manual_seed(6)
    for name, parameter in worn.named_parameters():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn_like(parameter)
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=get_peft_model_state_dict(worn),
        unet_lora_adapter_metadata=worn.peft_config["default"].to_dict(),
    )
    worn.fuse_lora(lora_scale=0.8)
    layout = Layout(all_sites(unet), slots=1, rank=4)
    lora = read_lora(tmp_path / "pytorch_lora_weights.safetensors", layout, LAYERS)
    bank = Bank(layout)
    bank.hang(0, lora.row)
    bank.scale[:] = 0.8
    wiring = Wiring(pooled=kind == "sdxl")
    model = Denoise(unet, sigmas_of(tiny.SD), wiring, layout)
    given = tiny.tensors(model.names, layout) | {k: torch.from_numpy(v) for k, v in bank.inputs().items()}
    made = model(*given.values())
    reference = Denoise(worn, sigmas_of(tiny.SD), wiring)
    with torch.inference_mode():
        wanted = reference(*[given[name] for name in reference.names])
        bare = Denoise(tiny.unet(kind), sigmas_of(tiny.SD), wiring)(*[given[n] for n in reference.names])
    assert float((wanted - bare).abs().max()) > 0.1
    torch.testing.assert_close(made, wanted, atol=2e-4, rtol=1e-3)  # float32 in another order


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_alpha_and_half_precision_are_read(layout: Layout, tmp_path: Path, dtype: Any) -> None:
    site = layout.sites[5]
    pair = tiny.random_pairs(layout, 2, names=(site.name,))[site.name]
    layer = kohya_names(site.name, "down").removesuffix(".lora_down.weight")
    held = {
        f"{layer}.lora_down.weight": torch.from_numpy(pair.down).to(dtype),
        f"{layer}.lora_up.weight": torch.from_numpy(pair.up).to(dtype),
        f"{layer}.alpha": torch.tensor(1.0).to(dtype),
    }
    save_file(held, tmp_path / "a.safetensors")
    row = read_lora(tmp_path / "a.safetensors", layout, LAYERS).row
    wanted = layout.pack({site.name: Pair(pair.down, pair.up / 2)})
    np.testing.assert_allclose(row, wanted, atol=0.01)  # bfloat16 has eight bits


def test_peft_says_alpha_beside_the_file_and_rslora_divides_by_the_root(
    layout: Layout, tmp_path: Path
) -> None:
    pairs = tiny.random_pairs(layout, 4, names=(layout.sites[3].name,))
    path = written(tmp_path / "adapter_model.safetensors", layout, pairs, peft_names)
    for config, scale in (({"lora_alpha": 8}, 2.0), ({"lora_alpha": 8, "use_rslora": True}, 4.0)):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        scaled = {name: Pair(pair.down, pair.up * np.float32(scale)) for name, pair in pairs.items()}
        np.testing.assert_allclose(read_lora(path, layout, LAYERS).row, layout.pack(scaled), rtol=1e-6)


def test_a_rank_above_the_slots_is_refused_with_the_number_and_how_to_reduce_it(
    layout: Layout, tmp_path: Path
) -> None:
    pairs = tiny.random_pairs(layout, 7)
    path = written(tmp_path / "wide.safetensors", layout, pairs, kohya_names)
    told = rf"rank: 7 at {len(pairs)} layers, but a slot holds 4.*adapters fit '.*wide.*' --student turbo"
    with pytest.raises(EngineError, match=told):
        read_lora(path, layout, LAYERS, "turbo")


def test_a_file_of_a_lower_rank_holds_the_nearest_change_and_its_loss_is_told(
    layout: Layout, tmp_path: Path
) -> None:
    pairs = tiny.random_pairs(layout, 7)
    text = {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.ones(2, 4)}
    wide = written(tmp_path / "wide.safetensors", layout, pairs, kohya_names, tensors=text)
    wide.with_suffix(".license.txt").write_text("CC0-1.0")
    lost = reduce_lora(wide, layout, LAYERS, 4, tmp_path / "four.safetensors")
    site = layout.sites[4]
    whole = change(pairs[site.name]).reshape(site.outputs, -1)
    u, s, v = np.linalg.svd(whole, full_matrices=False)
    made = change(read_pairs(tmp_path / "four.safetensors", layout.sites, LAYERS)[site.name])
    np.testing.assert_allclose(made.reshape(site.outputs, -1), (u[:, :4] * s[:4]) @ v[:4], atol=1e-4)
    assert lost.keys() == pairs.keys()
    assert lost[site.name] == pytest.approx(np.linalg.norm(s[4:]) / np.linalg.norm(s), rel=1e-4)
    lora = read_lora(tmp_path / "four.safetensors", layout, LAYERS)
    assert (lora.rank, lora.license, lora.text_layers) == (4, "CC0-1.0", 1)


def test_layers_that_fit_already_are_written_as_they_are_with_their_alpha(
    layout: Layout, tmp_path: Path
) -> None:
    pairs = tiny.random_pairs(layout, 3)
    told = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 6.0, "unet.r": 3})}
    path = written(tmp_path / "own.safetensors", layout, pairs, diffusers_names, metadata=told)
    lost = reduce_lora(path, layout, LAYERS, 4, tmp_path / "four.safetensors")
    assert set(lost.values()) == {0.0}
    for name, pair in read_pairs(tmp_path / "four.safetensors", layout.sites, LAYERS).items():
        np.testing.assert_allclose(change(pair), 2.0 * change(pairs[name]), rtol=1e-4, atol=1e-6)


def test_all_that_does_not_fit_is_said_at_once(layout: Layout, tmp_path: Path) -> None:
    names = [site.name for site in layout.sites]
    pairs = tiny.random_pairs(layout, 2, names=(names[1], names[2]))
    pairs[names[2]].up[0, 0] = np.nan
    one = kohya_names(names[3], "down")
    tensors = {
        one: torch.zeros(2, layout.sites[3].inputs),
        "lora_unet_nowhere.lora_down.weight": torch.zeros(2, 4),
        "lora_unet_nowhere.lora_up.weight": torch.zeros(4, 2),
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.zeros(2, 4),
        one.replace("lora_down.weight", "dora_scale"): torch.zeros(4, 1),
        "lora_unet_conv_in.hada_w1_a": torch.zeros(4, 1),
        kohya_names(names[4], "down"): torch.zeros(2, 5),
        kohya_names(names[4], "up"): torch.zeros(layout.sites[4].outputs, 2),
    }
    path = written(tmp_path / "bad.safetensors", layout, pairs, kohya_names, tensors=tensors)
    with pytest.raises(EngineError) as caught:
        read_lora(path, layout, LAYERS)
    text = str(caught.value)
    assert "6 problems" in text
    for part in ("DoRA", "LoHa", "nowhere", "only one half", "NaN", "down is (2, 5)"):
        assert part in text


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft and transformers 5
@pytest.mark.parametrize("kohya", [False, True])
def test_text_encoder_layers_change_the_prompt_as_peft_does(tmp_path: Path, kohya: bool) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model

    encoders = [tiny.text_encoder(), tiny.text_encoder(second=True)]
    tensors, wanted = {}, []
    for number, (_, encoder) in enumerate(encoders):
        worn = get_peft_model(
            copy.deepcopy(encoder), LoraConfig(r=2, lora_alpha=2, target_modules=["q_proj"])
        )
        assert isinstance(worn, PeftModel)
        for name, parameter in worn.named_parameters():
            if "lora_" not in name:
                continue
            parameter.data = torch.randn_like(parameter)
            layer = name.removeprefix("base_model.model.").replace(".default", "")
            inside = "text_model." + layer.removeprefix("text_model.")
            if kohya:
                flat, _, half = (
                    inside.replace("lora_A", "lora_down").replace("lora_B", "lora_up").rpartition(".lora")
                )
                key = f"lora_te{number + 1}_{flat.replace('.', '_')}.lora{half}"
            else:
                key = f"text_encoder{'_2' * number}.{inside}"
            tensors[key] = parameter.data
        wanted.append(worn.merge_and_unload())
    save_file(tensors, tmp_path / "a.safetensors")
    assert fuse_text(encoders, tmp_path / "a.safetensors", 1.0) == 4
    ids = torch.tensor([[54, 1, 2, 3, 55]])
    for (_, made), other in zip(encoders, wanted, strict=True):
        with torch.inference_mode():
            torch.testing.assert_close(made(ids)[0], other(ids)[0], atol=1e-5, rtol=1e-5)


def test_text_encoder_layers_are_counted_and_pickles_are_not_opened(layout: Layout, tmp_path: Path) -> None:
    pairs = tiny.random_pairs(layout, 2, names=(layout.sites[1].name,))
    text = {
        f"lora_te_layers_{i}_fc1.lora_{h}.weight": torch.zeros(2, 2) for i in (0, 1) for h in ("down", "up")
    }
    path = written(tmp_path / "both.safetensors", layout, pairs, kohya_names, tensors=text)
    assert read_lora(path, layout, LAYERS).text_layers == 2
    (tmp_path / "old.bin").write_bytes(b"never read")
    with pytest.raises(EngineError, match="Pickled weights can run code"):
        read_lora(tmp_path / "old.bin", layout)
