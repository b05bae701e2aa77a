"""What ships: the house student and its adapters are whole, small, and as good in INT8 as their page says."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.engines.adapter import SHIPPED as ADAPTERS
from vivant.engines.adapter import read_adapter, wearable
from vivant.engines.card import Card, read_checked
from vivant.engines.kinds import load_student
from vivant.engines.student import SHIPPED as STUDENTS
from vivant.engines.student import find
from vivant.runtime.frames import U8, Controls

LARGEST_MB = 40
# small pictures are all detail: 1 dB below what the held-out ones of docs/measurements.md have
EFFECT = 0.95


def test_students_and_adapters_are_small_together() -> None:
    files = [path for folder in (STUDENTS, ADAPTERS) for path in folder.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) / 1e6 < LARGEST_MB


def test_every_file_of_a_student_is_the_one_that_its_card_names() -> None:
    for folder in STUDENTS.iterdir():
        for file in Card.read(folder).files():
            assert read_checked(folder, file)


def test_six_adapters_and_more_fit_the_house_student() -> None:
    card = Card.read(find("house"))
    files = wearable(card)
    infos = {name: read_adapter(path, card).info for name, path in files.items()}
    assert len(infos) >= 6
    assert {path.name for path in ADAPTERS.iterdir()} == {f"{name}.safetensors" for name in infos}
    assert card.weights is not None
    for name, info in infos.items():
        assert info.upon == card.weights.sha256, f"{name} was trained upon other weights"
        assert "/" not in info.made_with and info.summary and info.license
    assert sum(info.host is None for info in infos.values()) >= 2  # palettes go with every style


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize(  # onnxruntime rounds more often than OpenVINO (contract.Kind)
    ("backend", "style_db", "adapter_db"), [("openvino", 37.0, 35.0), ("onnxruntime", 35.0, 34.0)]
)
def test_int8_paints_as_float_does_in_every_style_and_adapter(
    backend: str, style_db: float, adapter_db: float
) -> None:
    pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
    from vivant.distill.evaluate import SEED, STRENGTH, adapter_effects, paint, planes_of, psnr_db

    structures = pictures(192)
    with (
        load_student("house", backend, "float", (192, 192), 1) as plain,
        load_student("house", backend, "int8", (192, 192), 1) as quantized,
    ):
        for style in plain.card.styles:
            controls = Controls(strength=STRENGTH, seed=SEED, styles={style: 1.0})
            found = []
            for structure in structures.values():
                planes = planes_of(structure, style, SEED)
                made = [paint(s, structure, planes, controls) for s in (quantized, plain)]
                found.append(psnr_db(*made))
            assert np.mean(found) >= style_db, (style, found)
        for name, scale, psnr, effect in adapter_effects(plain, quantized, structures):
            assert psnr >= adapter_db and effect >= EFFECT, (name, scale, psnr, effect)


def pictures(size_px: int) -> dict[str, U8]:
    """Held-out structures that need no library: the performer, far and near."""
    from vivant.runtime.senses.performer import Performer

    dancer = Performer((size_px, size_px), 77, 30.0)
    return {str(k): dancer.frame(k).copy() for k in (0, 90)}
