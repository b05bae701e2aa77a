"""From a checkpoint to a student folder that the show can load, and how a student is judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
pytest.importorskip("scipy", reason="needs scipy: pip install '.[distill]'")
pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")

from vivant.distill import export as exporting  # noqa: E402
from vivant.distill import graphs, house_guard  # noqa: E402
from vivant.distill.adapt import Adapting  # noqa: E402
from vivant.distill.evaluate import (  # noqa: E402
    BLUR_PX,
    SCALES,
    SEED,
    Findings,
    adapter_effects,
    evaluate,
    leak,
    planes_of,
    psnr_db,
    relative_texture,
    table,
    wishes,
)
from vivant.distill.plan import Plan  # noqa: E402
from vivant.distill.sensitivity import markdown, sensitivities  # noqa: E402
from vivant.distill.sources import open_sources  # noqa: E402
from vivant.distill.teachers import paint_with  # noqa: E402
from vivant.distill.train import Training  # noqa: E402
from vivant.engines.adapter import AdapterInfo  # noqa: E402
from vivant.engines.card import Card, read_checked  # noqa: E402
from vivant.engines.contract import PARTS, Engine, Precision, TensorSpec  # noqa: E402
from vivant.engines.house import RANK, SLOTS, Widths  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402
from vivant.engines.slots import CHANNELS  # noqa: E402
from vivant.engines.student import Student  # noqa: E402
from vivant.guardrails.envelope import Envelope  # noqa: E402
from vivant.runtime.frames import U8, Array, Controls, VivantError  # noqa: E402

torch.set_num_threads(1)  # more would wait for each other on cores that others use
pytestmark = pytest.mark.torch
PLAN = Plan(
    ("ink", "mosaic"),
    {"ink": 1.0, "mosaic": 1.0},
    minutes=1.0,
    widths=Widths(weave=8, half=8, quarter=8, eighth=8, sixteenth=8, style=8),
)


def pictures(size_px: int) -> dict[str, U8]:
    rng = np.random.default_rng(0)
    return {str(i): rng.integers(0, 256, (size_px, size_px, 3), dtype=np.uint8) for i in range(3)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student folder of an untrained network, with a guard."""
    place = tmp_path_factory.mktemp("export")
    Training(PLAN).save(place / "checkpoint.pt")
    (place / "student").mkdir()
    (place / "student" / "left.int8.onnx").write_text("of an earlier export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "SIZES_PX", (64, 96))
        patch.setattr(house_guard, "SIZES_PX", (64, 96))
        patch.setattr(exporting, "write_guard", partial(house_guard.write_guard, steps=20))
        patch.setattr(exporting, "calibration", partial(graphs.calibration, count=6))
        exporting.export(
            place / "checkpoint.pt", place / "student", None, "0.0", threads=1, guard_structures=215
        )
    return place / "student"


@pytest.fixture(scope="module")
def students(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Student, Student]]:
    """The float and the INT8 student, with an adapter of woodcut upon ink, and one without a host."""
    house, _, _ = exporting.read_house(folder.parent / "checkpoint.pt")
    place, paths = tmp_path_factory.mktemp("adapters"), []
    for name, host in (("woodcut", "ink"), ("dusk", None)):
        adapting = Adapting.begin(house, rank=2)
        for low_rank in (adapting.denoise, adapting.decode):
            low_rank.up.data = 0.5 * torch.randn_like(low_rank.up)
        info = AdapterInfo(
            name=name,
            summary="for tests",
            student="house",
            host=host,
            recipe="woodcut" if host else None,
            alpha=2.0,
            rank=2,
            made_with="tests/test_distill.py",
            license="Apache-2.0",
        )
        paths.append(place / f"{name}.safetensors")
        adapting.save(paths[-1], info)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vivant.engines.adapter.SHIPPED", place / "nothing")
        with (
            load_student(folder, "onnxruntime", "float", (64, 64), 1, paths) as plain,
            load_student(folder, "onnxruntime", "int8", (64, 64), 1, paths) as quantized,
        ):
            yield plain, quantized


def test_a_checkpoint_becomes_a_folder_whose_files_are_those_of_its_card(folder: Path) -> None:
    card = Card.read(folder)
    assert {path.name for path in folder.iterdir()} == {"card.json", *(file.file for file in card.files())}
    assert all(read_checked(folder, file) for file in card.files())
    for part in PARTS:
        assert card.graphs[part].keys() == {"float", "int8", "int8_rounded", "int8_symmetric"}
    assert card.styles == PLAN.styles and card.adapters is not None
    assert (card.adapters.slots, card.adapters.rank) == (SLOTS, RANK)
    assert not [word for word in card.made_with.split() if word.startswith("/")]


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_what_was_exported_loads_and_is_guarded(folder: Path, precision: Precision) -> None:
    with load_student(folder, "onnxruntime", precision, (96, 64), 1) as student:
        envelope = Envelope.load(*student.guard_file)
        frame = cv2.resize(pictures(8)["0"], (96, 64))
        latent = student.denoise(student.encode(frame), Controls(strength=0.25))
        assert np.isfinite(envelope.distance2(latent))


def test_the_guard_admits_what_it_was_fitted_to_and_holds_what_it_never_saw(folder: Path) -> None:
    with load_student(folder, "onnxruntime", "int8", (64, 64), 1) as student:
        envelope = Envelope.load(*student.guard_file)
        frame = cv2.resize(pictures(8)["0"], (64, 64))
        near = envelope.distance2(student.denoise(student.encode(frame), Controls(strength=0.25)))
        latent = student.denoise(student.encode(frame), Controls(strength=0.25))
        latent.code[...] = 40.0
        assert near < envelope.distance2(latent)


def test_the_graphs_are_calibrated_in_every_style_and_with_adapters_on(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "SIZES_PX", (64, 96))
        seen = list(graphs.calibration(folder, open_sources(None), PLAN.styles, (), seed=0, count=10))
    inputs = [sample.inputs for sample in seen]
    assert {sample["encode"]["frame"].shape[1] for sample in inputs} == {64, 96}
    styles = np.concatenate([sample["denoise"]["style"] for sample in inputs])
    assert {0.0, 0.5, 1.0} == set(styles.ravel().tolist())
    sigmas = [float(sample["denoise"]["sigma"][0, 0]) for sample in inputs]
    assert 0 <= min(sigmas) < max(sigmas) <= graphs.SIGMA_RANGE[1]


def test_an_export_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    house = Training(PLAN).averaged()
    graphs.write_float(house, tmp_path)
    assert not [name for name, module in house.named_modules() if module.training]


# How a student is judged


def test_relative_texture_is_nought_for_the_teacher_and_one_for_its_blur() -> None:
    teacher = pictures(96)["0"]
    blurred = np.asarray(cv2.GaussianBlur(teacher, (0, 0), BLUR_PX), dtype=np.uint8)
    assert relative_texture(teacher, teacher) == 0
    assert relative_texture(blurred, teacher) == pytest.approx(1)


def test_every_style_and_every_painters_adapter_is_judged(students: tuple[Student, Student]) -> None:
    assert [wish.name for wish in wishes(students[0])] == ["ink", "mosaic", "woodcut"]
    [wish] = wishes(students[0], ["woodcut"])
    assert (wish.style, wish.adapters, wish.recipe) == ("ink", {"woodcut": 1.0}, "woodcut")
    with pytest.raises(VivantError, match=r"adapter: chalk, lard\. There are ink, mosaic, woodcut"):
        wishes(students[0], ["chalk", "ink", "lard"])


def test_a_score_compares_the_student_with_its_teacher(students: tuple[Student, Student]) -> None:
    structures = dict(list(pictures(64).items())[:2])
    found = list(evaluate(*students, structures, ["ink", "woodcut"]))
    assert [score.style for score, _ in found] == ["ink", "woodcut"]
    for score, sheet in found:
        assert sheet.shape == (2 * 64, 4 * 64, 3) and sheet.dtype == np.uint8
        assert np.array_equal(sheet[:64, :64], structures["0"])
        # an untrained student paints fog; a teacher with another seed paints the same texture
        assert score.texture_float > 1 > score.floor > 0
        assert score.int8_psnr_db > 20


def test_a_blend_is_judged_by_the_mean_of_its_painters(
    students: tuple[Student, Student], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivant.distill.evaluate.BLENDED", (("ink", "mosaic"), ("ink", "glass")))
    structures = {"0": pictures(64)["0"]}
    *_, (score, sheet) = evaluate(*students, structures)
    assert score.style == "ink + mosaic"  # it has no glass
    own = [planes_of(structures["0"], style, SEED) for style in ("ink", "mosaic")]
    painted = [
        paint_with(style, structures["0"], planes[0], SEED).astype(np.float32)
        for style, planes in zip(("ink", "mosaic"), own, strict=True)
    ]
    assert np.abs(sheet[:, 64:128] - sum(painted) / 2).max() <= 0.5
    assert score.texture_float > 1 > score.floor > 0


def test_an_adapters_effect_in_int8_is_set_beside_that_in_float(students: tuple[Student, Student]) -> None:
    found = list(adapter_effects(*students, {"0": pictures(64)["0"]}))
    assert [(name, scale) for name, scale, _, _ in found] == [
        (name, scale) for name in ("woodcut", "dusk") for scale in SCALES
    ]
    assert all(db > 15 and 0.5 < share < 2 for _, _, db, share in found)


def test_findings_are_told_as_tables(students: tuple[Student, Student]) -> None:
    scores = [score for score, _ in evaluate(*students, {"0": pictures(64)["0"]}, ["ink"])]
    text = table(Findings(tuple(scores), (("dusk", 0.5, 30.0, 1.0),), 0))
    assert "| ink | " in text and "| dusk | 0.5 | 30.0 dB | 1.000 |" in text
    assert text.endswith("A blanked latent lets 0 of 255 through.")
    columns = {line.count("|") for line in text.splitlines() if line.startswith("| ") and "dB |" in line}
    assert columns == {8, 5}


def test_nothing_leaks_past_the_guard(students: tuple[Student, Student]) -> None:
    assert [leak(student, pictures(64)) for student in students] == [0, 0]


class Leaky:
    """A decoder that has seen the frame by a way round the latent."""

    def __init__(self, engine: Engine, encode: Engine) -> None:
        self.inputs: tuple[TensorSpec, ...] = engine.inputs
        self.outputs: tuple[TensorSpec, ...] = engine.outputs
        self.ran_precision = engine.ran_precision
        self._engine, self._run, self._seen = engine, encode.run, 0
        encode.run = self._look  # type: ignore[method-assign]

    def _look(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self._seen = int(inputs["frame"][0, 0, 0, 0])
        self._run(inputs, outputs)

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self._engine.run(inputs, outputs)
        outputs["picture"][0, 0, 0, 0] = self._seen


def test_a_decoder_that_sees_more_than_the_latent_is_found_out() -> None:
    with load_student("null", "null", "float", (64, 64), 1) as student:
        assert leak(student, pictures(64)) == 0
        engines = dict(student._engines)
        engines["decode"] = Leaky(engines["decode"], engines["encode"])  # type: ignore[assignment]
        leaky = Student(student.card, student.folder, "null", "float", engines)
        corners = [int(picture[0, 0, 0]) for picture in pictures(64).values()]
        assert leak(leaky, pictures(64)) == max(abs(corner - corners[0]) for corner in corners) > 0


# The student that ships


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_the_shipped_student_paints_nothing_that_the_guard_has_not_judged(precision: Precision) -> None:
    with load_student("house", "onnxruntime", precision, (64, 64), 1) as student:
        assert leak(student, pictures(64)) == 0


def test_the_shipped_int8_student_paints_as_the_float_one_does() -> None:
    frame = cv2.resize(pictures(8)["1"], (128, 128), interpolation=cv2.INTER_CUBIC)
    planes = np.full((1, 64, 64, CHANNELS), 128, np.uint8)
    controls = Controls(strength=0.25, styles={"ink": 1.0})
    made = []
    for precision in ("float", "int8"):
        with load_student("house", "onnxruntime", precision, (128, 128), 1) as student:  # type: ignore[arg-type]
            made.append(
                student.decode(student.denoise(student.encode(frame), controls), planes, controls).copy()
            )
    # eight bits over a range of one are worth 48 dB; some forty layers may cost 18 of them
    assert psnr_db(*made) > 30


# What each layer costs in INT8


def test_layers_are_listed_by_what_they_cost_alone_and_then_all_together(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "SIZES_PX", (64,))
        seen = list(graphs.calibration(folder, open_sources(None), PLAN.styles, (), seed=0, count=4))
    told: list[tuple[str, int, int]] = []
    found = sensitivities(folder, "encode", seen, lambda *what: told.append(what))
    assert (
        found[-1].layer == "all"
        and len(found) == len(told) + 1
        and told[-1] == ("encode", len(told), len(told))
    )
    costs = [one.psnr_db for one in found[:-1]]
    assert costs == sorted(costs) and found[-1].psnr_db <= costs[0] + 1
    assert markdown(found).splitlines()[2].startswith(f"| encode | `{found[0].layer}` | ")
