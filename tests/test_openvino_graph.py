"""Adapters' products written as convolutions for OpenVINO: the same numbers, for every layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("diffusers", reason="needs diffusers")
openvino = pytest.importorskip("openvino")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.diffusion.bank import Layout  # noqa: E402
from vivant.engines.diffusion.export import write_graph  # noqa: E402
from vivant.engines.diffusion.steps import sigmas_of  # noqa: E402
from vivant.engines.diffusion.unet import Denoise, all_sites  # noqa: E402
from vivant.engines.diffusion.wiring import Wiring  # noqa: E402
from vivant.engines.openvino_graph import convolve_worn  # noqa: E402

pytestmark = pytest.mark.torch


def kinds(model: Any) -> list[str]:
    return [op.get_type_name() for op in model.get_ordered_ops()]


def compiled(model: Any) -> Any:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return openvino.Core().compile_model(model, "CPU", settings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, dict[str, Any], int]:
    """A graph as it is and as convolutions, inputs for it, and how many products on pictures it has."""
    unet = tiny.unet()
    layout = Layout(all_sites(unet), slots=2, rank=4)
    model = Denoise(unet, sigmas_of(tiny.SD), Wiring(), layout)
    inputs = tiny.tensors(model.names, layout, seed=3)
    path = tmp_path_factory.mktemp("graph") / "denoise.onnx"
    write_graph(model, inputs, ("denoised",), path)
    found = [openvino.Core().read_model(path) for _ in range(2)]
    for one in found:
        one.reshape({name: list(value.shape) for name, value in inputs.items()})
    convolutions = sum(isinstance(unet.get_submodule(site.name), torch.nn.Conv2d) for site in layout.sites)
    return *found, tiny.as_arrays(inputs), 2 * convolutions


def test_products_on_pictures_become_convolutions_that_give_the_same_and_follow_the_adapters(
    made: tuple[Any, Any, dict[str, Any], int],
) -> None:
    plain, worn, inputs, products = made
    groups = kinds(worn).count("GroupConvolution")
    assert groups > 0
    assert convolve_worn(worn) == products
    assert kinds(worn).count("GroupConvolution") == 0
    assert kinds(worn).count("Convolution") == kinds(plain).count("Convolution") + products
    before, after = compiled(plain), compiled(worn)
    first = after(inputs)[0].copy()
    np.testing.assert_allclose(first, before(inputs)[0], atol=1e-3)  # of 30: other orders of sums
    other = inputs | {"adapters": -2 * inputs["adapters"]}
    np.testing.assert_allclose(after(other)[0], before(other)[0], atol=1e-3)
    assert np.abs(after(other)[0] - first).max() > 0.01
    assert np.array_equal(after(inputs)[0], first)


def test_a_grouped_convolution_that_does_more_than_place_taps_is_left_alone() -> None:
    from openvino import opset13 as ops

    x, down = ops.parameter([1, 3, 8, 8], name="x"), ops.parameter([18, 3], name="down")
    flat = ops.reshape(x, np.array([1, 3, 64]), False)
    taps = ops.reshape(ops.matmul(down, flat, False, False), np.array([1, 18, 8, 8]), False)
    for weights, left in ((np.eye(9), 0), (2 * np.eye(9), 1)):
        place = np.tile(weights.reshape(1, 1, 9, 3, 3), (2, 1, 1, 1, 1)).astype(np.float32)
        low = ops.group_convolution(taps, ops.constant(place), [1, 1], [1, 1], [1, 1], [1, 1])
        model = openvino.Model([low], [x, down], "one")
        convolve_worn(model)
        assert kinds(model).count("GroupConvolution") == left
