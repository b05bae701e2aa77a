"""Graphs: slots of another number and rank compute the same; comparison and advice on what INT8 costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_student import RANK, SLOTS, write_tiny_student

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[build]'")
pytest.importorskip("polygraphy", reason="needs polygraphy: pip install '.[build]'")
import onnxruntime  # noqa: E402

from vivant.engines.builder.compare import (  # noqa: E402
    LOUDEST_DB,
    THRESHOLDS,
    Row,
    Threshold,
    compared,
    failing,
    worst,
)
from vivant.engines.builder.errors import BuildError  # noqa: E402
from vivant.engines.builder.folders import assembled, load, slotted  # noqa: E402
from vivant.engines.builder.graphs import checked, layers_of, simplified, with_slots  # noqa: E402
from vivant.engines.builder.int8 import (  # noqa: E402
    SampleFiles,
    Samples,
    every_layer,
    keep_calibrated,
    pattern_of,
    read_calibrated,
    write_int8,
)
from vivant.engines.builder.layers import MANY, Cost, Scale, costs, grouped, layer_by_layer, to_keep  # noqa: E402
from vivant.engines.card import Card, data_file  # noqa: E402
from vivant.engines.quantize import calibrate, save  # noqa: E402


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_student(tmp_path_factory.mktemp("students") / "tiny", adapted=True)


def inputs_of(path: Path, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"frame": (1, 64, 64, 3), "code": (1, 16, 8, 8), "guide": (1, 1, 32, 32), "sigma": (1, 1)}
    shapes |= {"style": (1, 4), "planes": (1, 32, 32, 112), "adapter_scale": (1, SLOTS)}
    for one in onnx.load(path).graph.input:
        if one.name in ("adapter_down", "adapter_up"):
            sizes = {
                "adapter_down": {"denoise": 4, "decode": 36},
                "adapter_up": {"denoise": 32, "decode": 64},
            }
            shapes[one.name] = (SLOTS * RANK, sizes[one.name][path.name.split(".")[0]])
    names = [one.name for one in onnx.load(path).graph.input]
    return {
        name: rng.integers(0, 256, shapes[name], dtype=np.uint8)
        if name in ("frame", "planes")
        else rng.random(shapes[name], dtype=np.float32)
        for name in names
    }


def run(path: Path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


@pytest.mark.parametrize("part", ["denoise", "decode"])
def test_more_slots_of_a_higher_rank_compute_the_same(tiny, tmp_path, part):
    source, target = tiny / f"{part}.float.onnx", tmp_path / "wide.onnx"
    with_slots(source, target, (SLOTS, RANK), (3, 5))
    inputs = inputs_of(source)
    wide = dict(inputs)
    for name in ("adapter_down", "adapter_up"):
        wide[name] = np.zeros((15, inputs[name].shape[1]), np.float32)
        wide[name][:RANK], wide[name][10 : 10 + RANK] = inputs[name][:RANK], inputs[name][RANK:]
    scales = inputs["adapter_scale"][0]
    wide["adapter_scale"] = np.array([[scales[0], 0.7, scales[1]]], np.float32)
    (one,), (other,) = run(source, inputs), run(target, wide)
    # zeros are added in another order; a picture may then round one step apart
    np.testing.assert_allclose(one.astype(float), other, atol=1 if one.dtype == np.uint8 else 1e-5)


def test_a_graph_that_does_not_spread_its_slots_is_given_no_others(tiny, tmp_path):
    with pytest.raises(BuildError, match="give it no other slots"):
        with_slots(tiny / "decode.float.onnx", tmp_path / "wide.onnx", (SLOTS + 1, RANK), (4, 4))


def test_a_student_with_other_slots_says_so_on_its_card(tiny, tmp_path):
    slotted(tiny, tmp_path, (4, 2))
    card = Card.read(tmp_path)
    assert card.adapters is not None and (card.adapters.slots, card.adapters.rank) == (4, 2)
    assert checked(tmp_path / "decode.float.onnx", card, "decode") > 5
    load(tmp_path, tmp_path / "again")  # every file is what the card says


def test_simplified_graphs_compute_the_same(tiny, tmp_path):
    before, after = simplified(tiny / "decode.int8.onnx", tmp_path / "decode.onnx")
    assert 0 < after <= before
    inputs = inputs_of(tiny / "decode.int8.onnx")
    np.testing.assert_array_equal(
        run(tiny / "decode.int8.onnx", inputs)[0], run(tmp_path / "decode.onnx", inputs)[0]
    )


def test_simplified_graphs_still_take_every_size(tiny, tmp_path):
    for part in ("encode", "denoise", "decode"):
        source, target = tiny / f"{part}.int8.onnx", tmp_path / f"{part}.onnx"
        simplified(source, target)
        for side in ("input", "output"):
            before, after = (getattr(onnx.load(path).graph, side) for path in (source, target))
            assert [str(one.type) for one in before] == [str(one.type) for one in after]


def test_a_graph_that_is_no_graph_or_has_other_tensors_is_refused(tiny, tmp_path):
    card = Card.read(tiny)
    (tmp_path / "decode.onnx").write_bytes((tiny / "decode.float.onnx").read_bytes()[:400])
    with pytest.raises(BuildError, match="no sound ONNX graph"):
        checked(tmp_path / "decode.onnx", card, "decode")
    with pytest.raises(Exception, match="has tensors"):
        checked(tiny / "denoise.float.onnx", card, "decode")


def test_layers_say_what_they_are_written_in(tiny):
    assert set(layers_of(tiny / "decode.float.onnx").values()) == {"float"}
    assert "INT8" in layers_of(tiny / "decode.int8.onnx").values()
    assert pattern_of(tiny / "decode.int8.onnx").layers and not pattern_of(tiny / "decode.float.onnx").layers


# Comparison


def test_equal_outputs_are_equal_and_nan_is_as_far_as_can_be():
    array = np.linspace(0, 1, 100, dtype=np.float32)
    (row,) = compared("decode", "ink", {"picture": array}, {"picture": array})
    assert (row.part, row.output, row.wish, row.psnr_db) == ("decode", "picture", "ink", LOUDEST_DB)
    assert row.cosine == pytest.approx(1.0, abs=1e-6)  # float32 sums
    (row,) = compared("decode", "ink", {"picture": array}, {"picture": array * np.nan})
    assert row.fails(THRESHOLDS["int8"]) and (row.psnr_db, row.cosine) == (-LOUDEST_DB, -1.0)


def test_psnr_is_of_the_mean_square_against_the_highest_value():
    wanted = np.full(1000, 255, np.uint8)
    (row,) = compared("decode", "ink", {"p": wanted}, {"p": wanted - 5})
    assert row.psnr_db == pytest.approx(20 * np.log10(255 / 5), abs=1e-3)


def test_the_worst_row_of_each_output_is_found_and_judged():
    rows = [Row("a", "x", "1", 40.0, 1.0), Row("a", "x", "2", 20.0, 1.0), Row("b", "x", "1", 50.0, 0.5)]
    assert [row.wish for row in worst(rows).values()] == ["2", "1"]
    assert failing(rows, Threshold(30.0, 0.9)) == rows[1:]


# INT8


@pytest.fixture(scope="module")
def calibrated(tiny):
    samples = [inputs_of(tiny / "decode.float.onnx", seed) for seed in range(4)]
    return calibrate(tiny / "decode.float.onnx", samples), samples


def test_a_calibration_on_disk_quantizes_alike(calibrated, tmp_path):
    found, _ = calibrated
    (tmp_path / "kept").mkdir()
    keep_calibrated(found, tmp_path / "kept")
    for name, one in (("a", found), ("b", read_calibrated(tmp_path / "kept"))):
        write_int8(one, every_layer(one), tmp_path / f"{name}.onnx", symmetric=False)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_samples_lie_on_disk_and_are_read_when_asked_for(tmp_path):
    files = SampleFiles(tmp_path)
    for index in range(3):
        files.add(f"group {index}", {"x": np.full(4, index, np.float32)})
    files.close()
    found = Samples(tmp_path)
    assert len(found) == 3 and found.groups == ["group 0", "group 1", "group 2"]
    assert [one["x"][0] for one in found] == [0, 1, 2] and len(found[1:]) == 2


def test_the_dearest_layer_is_kept_and_no_more_than_are_needed(tiny, calibrated):
    found, samples = calibrated
    scale = Scale(tiny / "decode.float.onnx", found, samples, symmetric=False, count=MANY)
    pattern = every_layer(found)
    shares: list[float] = []
    dearest = costs(scale, pattern, shares.append)
    assert [one.psnr_db for one in dearest] == sorted(one.psnr_db for one in dearest) and shares[-1] == 1.0
    all_int8 = min(row.psnr_db for row in scale.of(pattern))
    assert to_keep(scale, pattern, dearest, Threshold(all_int8 - 3, 0.0)) == ()
    kept = to_keep(scale, pattern, dearest, Threshold(all_int8 + 3, 0.0))
    assert kept and kept[0] == dearest[0].layers[0] and len(kept) < len(pattern.layers)
    assert min(row.psnr_db for row in scale.of(pattern.without(kept))) >= all_int8 + 3
    assert to_keep(scale, pattern, dearest, Threshold(all_int8 - 3, 0.0), at_least=2) is not None
    assert to_keep(scale, pattern, dearest, Threshold(LOUDEST_DB, 1.0)) is None


def test_a_layer_left_in_float_is_float_in_the_graph(calibrated, tmp_path):
    found, _ = calibrated
    pattern = every_layer(found)
    write_int8(found, pattern.without(pattern.layers[:1]), tmp_path / "one.onnx", symmetric=True)
    assert pattern.layers[0] not in pattern_of(tmp_path / "one.onnx").layers
    assert len(pattern_of(tmp_path / "one.onnx").layers) >= 1


def test_many_layers_are_looked_at_by_blocks():
    layers = [f"/down.{i}/resnets.{j}/conv{k}/Conv" for i in range(4) for j in range(5) for k in range(3)]
    groups = grouped(layers)
    assert len(groups) == 20 and groups["/down.0/resnets.0"] == tuple(layers[:3])
    assert list(grouped(layers[:9])) == layers[:9]
    assert isinstance(Cost("a", ("a",), 1.0).psnr_db, float)


def test_every_layer_is_held_against_its_own_in_the_float_graph(tiny):
    plain, quantized = tiny / "decode.float.onnx", tiny / "decode.int8.onnx"
    found = layer_by_layer(plain, quantized, [inputs_of(plain)])
    assert found and all(0.5 < cosine <= 1.0 + 1e-6 for cosine in found.values())
    same = layer_by_layer(plain, plain, [inputs_of(plain)])
    assert min(same.values()) == pytest.approx(1.0, abs=1e-6)  # float32 sums


def test_assembled_students_have_the_graphs_they_were_given(tiny, tmp_path):
    graphs = {("decode", "int8"): tiny / "decode.float.onnx"}
    assembled(tiny, tmp_path, graphs, {"kept_in_float": {"decode": ["quads"]}}, {})
    card = Card.read(tmp_path)
    assert card.graphs["decode"]["int8"].sha256 == card.graphs["decode"]["float"].sha256
    assert card.trained["builder"] == {"kept_in_float": {"decode": ["quads"]}}
    load(tmp_path, tmp_path / "again")


# Weights beside their graph, as above two gigabytes


@pytest.fixture
def apart(tiny, tmp_path) -> Path:
    target = tmp_path / "decode.float.onnx"
    save(onnx.load(tiny / "decode.float.onnx"), target, whole_bytes=0)
    assert data_file(target).exists()
    return target


def test_a_graph_with_its_weights_beside_it_is_checked_in_full(tiny, apart):
    card = Card.read(tiny)
    assert checked(apart, card, "decode") == checked(tiny / "decode.float.onnx", card, "decode")
    model = onnx.load(apart, load_external_data=False)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    onnx.save(model, apart)
    with pytest.raises(BuildError, match="no sound ONNX graph"):
        checked(apart, card, "decode")
    data_file(apart).unlink()
    with pytest.raises(BuildError, match="no sound ONNX graph"):
        checked(apart, card, "decode")


def test_what_is_left_out_of_a_graph_above_two_gigabytes_is_said(apart, tmp_path, caplog):
    before, after = simplified(apart, tmp_path / "same.onnx")
    assert before == after and "decode.float.onnx is above two gigabytes" in caplog.text
    assert "without being simplified" in caplog.text
    assert layer_by_layer(apart, apart, [inputs_of(apart)]) == {}
    assert "not looked at layer by layer" in caplog.text
