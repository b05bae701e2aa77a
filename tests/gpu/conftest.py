"""For tests on a real GPU: skipped, with what is missing, wherever there is none. NEVER RUN SO FAR."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_student import changed_student, entry, write_tiny_student

from vivant.engines import tensorrt_backend
from vivant.engines.card import Card
from vivant.engines.contract import PARTS, EngineError
from vivant.engines.cuda import Stream, gpu
from vivant.engines.specs import tensor_specs

HERE = Path(__file__).parent
SIZE = (96, 64)


def pytest_collection_modifyitems(items):
    """Marks everything in this folder, and asks once what of it can run: a test that takes a student's
    engines needs TensorRT, any other what its module's NEEDS says."""
    mine = [item for item in items if HERE in item.path.parents]
    if not mine:
        return
    lacking = {"tensorrt": lacks_tensorrt(), "torch": lacks_torch(), "cuda": lacks_cuda()}
    for item in mine:
        item.add_marker(pytest.mark.gpu)
        need = "tensorrt" if "student" in item.fixturenames else getattr(item.module, "NEEDS", "cuda")
        if lacking[need]:
            item.add_marker(pytest.mark.skip(reason=lacking[need]))


def lacks_tensorrt():
    found = tensorrt_backend.available()
    return "" if found.usable else f"needs an NVIDIA GPU with TensorRT: {found.reason}"


def lacks_torch():
    try:
        import torch
    except ImportError:
        return "needs torch"
    return "" if torch.cuda.is_available() else "needs an NVIDIA GPU and a torch that was built for CUDA"


def lacks_cuda():
    try:
        gpu()
    except EngineError as error:
        return f"needs an NVIDIA GPU and cuda-bindings: {error}"
    return ""


@pytest.fixture(scope="session")
def student(tmp_path_factory):
    """The tiny student with symmetric INT8 graphs, and its engines, built for this GPU in a cache of ours."""
    from vivant.engines.quantize import calibrate, quantize
    from vivant.engines.tensorrt_build import build_student

    folder = write_tiny_student(tmp_path_factory.mktemp("student") / "tiny")
    card, symmetric = Card.read(folder), {}
    for part in PARTS:
        target = folder / f"{part}.int8_symmetric.onnx"
        sample = arrays_for(tensor_specs(card, part, SIZE)[0])
        quantize(calibrate(folder / f"{part}.float.onnx", [sample]), target, symmetric=True)
        symmetric[part] = entry(target)

    def with_symmetric(card):
        for part in PARTS:
            card["graphs"][part]["int8_symmetric"] = symmetric[part]

    changed_student(folder, folder, with_symmetric)
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platformdirs.user_cache_dir", lambda name: str(cache))
        for precision in ("int8", "float"):
            build_student(folder, precision, [SIZE, (64, 64)])
        yield folder


@pytest.fixture
def stream():
    with Stream() as made:
        yield made


def arrays_for(specs, seed=1):
    from test_engines import arrays_for as made

    return made(specs, seed)
