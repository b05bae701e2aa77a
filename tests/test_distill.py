"""From a checkpoint to a student folder that the show can load, and how a student is judged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")

from vivant.distill import export as exporting  # noqa: E402
from vivant.distill.evaluate import BLUR_PX, leak, psnr_db, relative_texture  # noqa: E402
from vivant.distill.train import Plan, Training  # noqa: E402
from vivant.engines.card import Card, read_checked  # noqa: E402
from vivant.engines.contract import PARTS  # noqa: E402
from vivant.engines.student import Student  # noqa: E402
from vivant.guardrails.envelope import Envelope  # noqa: E402
from vivant.runtime.frames import U8, Controls  # noqa: E402

pytestmark = pytest.mark.torch


def pictures(size_px: int) -> dict[str, U8]:
    rng = np.random.default_rng(0)
    return {str(i): rng.integers(0, 256, (size_px, size_px, 3), dtype=np.uint8) for i in range(3)}


def test_a_checkpoint_becomes_a_folder_that_loads_and_is_guarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SIZES_PX", (64, 96))
    monkeypatch.setattr(exporting, "CALIBRATION", 8)
    monkeypatch.setattr(exporting, "GUARD_STRUCTURES", 40)
    Training(Plan(minutes=1)).save(tmp_path / "checkpoint.pt")
    folder = tmp_path / "student"
    exporting.export(tmp_path / "checkpoint.pt", folder, None, "0.0", threads=1)

    card = Card.read(folder)
    assert all(read_checked(folder, file) for file in card.files())
    assert {kind for part in PARTS for kind in card.graphs[part]} == {"float", "int8"}
    assert not [word for word in card.made_with.split() if word.startswith("/")]
    with Student.load(folder, "onnxruntime", "int8", (64, 64), 1) as student:
        envelope = Envelope.load(*student.guard_file)
        latent = student.denoise(student.encode(pictures(64)["0"]), Controls(strength=0.25))
        assert np.isfinite(envelope.distance2(latent))


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_the_shipped_student_paints_nothing_that_the_guard_has_not_judged(precision: str) -> None:
    with Student.load("house", "onnxruntime", precision, (64, 64), 1) as student:  # type: ignore[arg-type]
        assert leak(student, pictures(64)) == 0


def test_the_shipped_int8_student_paints_as_the_float_one_does() -> None:
    frame = cv2.resize(pictures(8)["1"], (128, 128), interpolation=cv2.INTER_CUBIC)
    planes = np.full((1, 20, 128, 128), 128, np.uint8)
    controls = Controls(strength=0.25, styles={"ink": 1.0})
    made = []
    for precision in ("float", "int8"):
        with Student.load("house", "onnxruntime", precision, (128, 128), 1) as student:  # type: ignore[arg-type]
            made.append(
                student.decode(student.denoise(student.encode(frame), controls), planes, controls).copy()
            )
    # eight bits over a range of one are worth 48 dB; some forty layers may cost 18 of them
    assert psnr_db(*made) > 30


def test_relative_texture_is_nought_for_the_teacher_and_one_for_its_blur() -> None:
    teacher = pictures(96)["0"]
    blurred = np.asarray(cv2.GaussianBlur(teacher, (0, 0), BLUR_PX), dtype=np.uint8)
    assert relative_texture(teacher, teacher) == 0
    assert relative_texture(blurred, teacher) == pytest.approx(1)
