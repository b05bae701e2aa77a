"""torch paints with a diffusion student's own weights what its graphs paint."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[diffusion]'")
pytest.importorskip("diffusers", reason="needs diffusers: pip install '.[diffusion]'")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[diffusion]'")
import tiny_diffusion as tiny  # noqa: E402
from safetensors import safe_open  # noqa: E402
from test_diffusion_student import (  # noqa: E402, F401  # fixtures
    SIZE,
    asking,
    loras,
    model,
    own_store,
    painted,
    scene,
)
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.card import Card  # noqa: E402
from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.diffusion.build import Wanted  # noqa: E402
from vivant.engines.diffusion.folder import write_student  # noqa: E402
from vivant.engines.diffusion.torch_parts import in_own_precision  # noqa: E402
from vivant.engines.diffusion.weights import FILE, read_network, write_weights  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402

pytestmark = pytest.mark.torch


def written(model: Path, out: Path, **wanted: Any) -> Path:  # noqa: F811
    """A student whose guard nobody asks."""
    return write_student(
        model, out, Wanted(**wanted), [scene(0)], lambda _, path: path.touch(), ("float",), "tiny"
    )


@pytest.fixture(scope="module")
def folder(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    return written(model, tmp_path_factory.mktemp("students") / "tiny", slots=2, rank=2)


def test_a_student_has_its_networks_beside_its_graphs_in_half_precision(folder: Path) -> None:
    card = Card.read(folder)
    assert card.weights is not None and card.weights.file == FILE
    with safe_open(folder / FILE, framework="pt") as file:
        kinds = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118  # no dictionary
    assert kinds == {torch.float16}


@pytest.mark.parametrize("precision", ["float", "bf16"])
def test_torch_paints_what_the_graphs_paint_adapters_worn(
    folder: Path,
    loras: list[Path],  # noqa: F811
    precision: Any,
) -> None:
    """Weights were rounded to eleven bits; bfloat16 rounds everything to eight."""
    worn = asking(0.6, adapters={"gold-leaf": 1.0, "smoke": 0.5})
    with load_student(folder, "onnxruntime", "float", SIZE, 1, loras) as graphs:
        wanted, bare = painted(graphs, worn), painted(graphs, asking(0.6))
    with load_student(folder, "torch", precision, SIZE, 1, loras) as student:
        found = painted(student, worn)
        assert set(student.ran_precision.values()) == {"f32" if precision == "float" else "bf16"}
    bound = 2e-3 if precision == "float" else 0.05
    assert np.abs(found[0] - wanted[0]).mean() < bound
    assert np.abs(found[1].astype(int) - wanted[1]).mean() < (0.1 if precision == "float" else 3)
    if precision == "float":
        assert np.abs(wanted[0] - bare[0]).mean() > 5 * bound  # the adapters count


def test_frames_in_a_batch_and_image_prompts_run_part_by_part(model: Path, tmp_path: Path) -> None:  # noqa: F811
    for name, wanted in {"batch": {"batch": 2}, "image": tiny.image_prompt(tmp_path, tiny.unet())}.items():
        out = written(model, tmp_path / name, rank=0, **wanted)
        codes = []
        for backend in ("onnxruntime", "torch"):
            with load_student(out, backend, "float", SIZE, 1) as student:
                painted(student, asking(0.6))
                codes.append(painted(student, asking(0.6))[0])
        assert np.abs(codes[1] - codes[0]).mean() < 2e-3, name


def test_weights_that_are_not_the_cards_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / FILE
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")
    with pytest.raises(EngineError, match="changed or copied in part"):
        load_student(copy, "torch", "float", SIZE, 1)
    path.unlink()
    with pytest.raises(EngineError, match="has sha256 nothing"):
        load_student(copy, "torch", "float", SIZE, 1)


def test_a_file_without_a_network_and_one_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    write_weights(path, {"vae": tiny.taesd()})
    made = read_network(path, "vae", torch.device("cpu"), torch.bfloat16)
    assert {one.dtype for one in made.parameters()} == {torch.bfloat16}
    with pytest.raises(EngineError, match="holds no unet"):
        read_network(path, "unet", torch.device("cpu"), torch.float32)

    class Liar(torch.nn.Linear):
        def to_json_string(self) -> str:
            return '{"_class_name": "AutoencoderTiny"}'

    write_weights(path, {"vae": Liar(2, 2)})
    with pytest.raises(EngineError, match="does not fit AutoencoderTiny"):
        read_network(path, "vae", torch.device("cpu"), torch.float32)


def test_values_beyond_half_precision_stay_as_they_are(tmp_path: Path) -> None:
    network = tiny.taesd()
    network.state_dict()["encoder.layers.0.weight"][0, 0, 0, 0] = 1e6
    write_weights(tmp_path / FILE, {"vae": network})
    made = read_network(tmp_path / FILE, "vae", torch.device("cpu"), torch.float32)
    assert made.state_dict()["encoder.layers.0.weight"][0, 0, 0, 0] == 1e6


def test_time_and_sizes_are_not_rounded_where_numbers_are() -> None:
    """bfloat16 holds no 999."""
    given: list[Any] = []

    class Seen(torch.nn.Linear):
        def forward(self, x: Any, timestep: Any, prompt: Any, added_cond_kwargs: Any = None) -> Any:
            given.extend(
                [x, timestep, prompt, added_cond_kwargs["text_embeds"], added_cond_kwargs["time_ids"]]
            )
            return (x,)

    network = in_own_precision(Seen(1, 1).to(torch.bfloat16))
    numbers = torch.full((1, 1), 999.0)
    made = network(numbers, numbers, numbers, added_cond_kwargs={"text_embeds": numbers, "time_ids": numbers})
    kinds = [one.dtype for one in given]
    assert kinds == [torch.bfloat16, torch.float32, torch.bfloat16, torch.bfloat16, torch.float32]
    assert made[0].dtype == torch.float32
