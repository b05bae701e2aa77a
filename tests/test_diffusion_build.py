"""A folder becomes graphs whose inputs are those that the card's facts promise, at every size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("diffusers", reason="needs diffusers")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
import onnxruntime  # noqa: E402
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.contract import PARTS, EngineError  # noqa: E402
from vivant.engines.diffusion.build import Wanted, weights_hash, write_float  # noqa: E402
from vivant.engines.diffusion.facts import Facts  # noqa: E402
from vivant.engines.diffusion.model import open_model  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def saved(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    pipeline = tiny.pipeline(request.param)
    pipeline.save_pretrained(folder)
    tiny.controlnet(pipeline.unet).save_pretrained(folder / "controlnet")
    return request.param, folder


def random(name: str, dtype: str, shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(len(name))
    if dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return np.abs(rng.standard_normal(shape)).astype(np.float32)


def test_graphs_take_and_give_what_the_facts_promise_at_every_size(
    saved: tuple[str, Path], tmp_path: Path
) -> None:
    kind, folder = saved
    wanted = Wanted(
        slots=2,
        rank=4,
        negative=True,
        controlnet=folder / "controlnet",
        control="residuals",
        **({} if kind == "sdxl" else tiny.image_prompt(tmp_path, tiny.unet())),
    )
    built = write_float(open_model(folder), tmp_path, wanted)
    assert set(built.graphs) == {"encode", "denoise", "decode", "control"}
    assert built.parity["decode"].most <= 1  # bytes may round either way
    assert all(built.parity[part].most < 1e-3 for part in ("encode", "denoise", "control"))
    facts = Facts.model_validate_json(built.facts.model_dump_json())
    assert facts == built.facts
    size_px = (96, 64)
    promised = {part: facts.specs(part, size_px) for part in PARTS} | {
        "control": facts.control_specs(size_px)
    }
    for part, (given, made) in promised.items():
        session = onnxruntime.InferenceSession(built.graphs[part], providers=["CPUExecutionProvider"])
        assert [spec.name for spec in given] == [each.name for each in session.get_inputs()]
        arrays = {spec.name: random(spec.name, spec.dtype, spec.shape) for spec in given}
        assert [spec.name for spec in made] == [each.name for each in session.get_outputs()]
        for spec, array in zip(made, session.run(None, arrays), strict=True):
            assert (array.shape, str(array.dtype)) == (spec.shape, spec.dtype)


def test_a_size_that_does_not_fit_is_refused(saved: tuple[str, Path], tmp_path: Path) -> None:
    built = write_float(open_model(saved[1]), tmp_path, Wanted(rank=0))
    assert built.facts.adapters is None and built.facts.control == "none"
    with pytest.raises(EngineError, match="multiples of 16"):
        built.facts.specs("decode", (72, 64))


def test_the_hash_of_the_base_changes_with_its_weights(tmp_path: Path) -> None:
    for name, data in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(data)
    a, b, c = (weights_hash([tmp_path / name]) for name in "abc")
    assert a == b != c and weights_hash([tmp_path / "c" / "model.safetensors"]) == c
