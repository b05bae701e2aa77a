"""Cards: every problem at once, and files that must be the ones that the card names."""

from __future__ import annotations

import json

import pytest
from tiny_student import write_tiny_student

from vivant.engines.card import Card, card_file, read_checked, read_graph
from vivant.engines.contract import EngineError
from vivant.engines.specs import tensor_specs
from vivant.engines.student import find, shipped


def test_a_missing_card_says_where_to_look(tmp_path):
    with pytest.raises(EngineError, match=r"card\.json cannot be read.*vivant engines list"):
        Card.read(tmp_path)


def test_all_problems_of_a_card_are_told_at_once(tmp_path):
    card = json.loads((find("null") / "card.json").read_text())
    card |= {"code_channels": "16", "sigma_rnage": [0, 1], "default_size": 100.5}
    del card["license"]
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(EngineError) as error:
        Card.read(tmp_path)
    text = str(error.value)
    assert "4 problems" in text
    for name in ("code_channels", "sigma_rnage", "default_size", "license"):
        assert name in text


@pytest.mark.parametrize(
    "change",
    [
        {"sigma_range": [0.5, 0.1]},
        {"sigma_range": [0.0, 1.5]},
        {"default_size": 100},
        {"guard": {"file": "../guard.npz", "sha256": "0" * 64}},
        {"guard": {"file": "guard.npz", "sha256": "0" * 63}},
        {"styles": []},
        {"planes": ["paper", "cloud"]},
        {"adapters": {"slots": 0, "rank": 8, "sites": {}}},
        {"adapters": {"slots": 2, "rank": 8, "sites": {"paint": {}}}},
    ],
)
def test_an_incoherent_card_is_refused(tmp_path, change):
    card = json.loads((find("null") / "card.json").read_text()) | change
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(EngineError, match="1 problem\n"):
        Card.read(tmp_path)


def test_broken_json_is_one_clear_problem(tmp_path):
    (tmp_path / "card.json").write_text('{"name": ')
    with pytest.raises(EngineError, match=r"card\.json: 1 problem"):
        Card.read(tmp_path)


def test_a_changed_file_is_named_with_what_to_do(tmp_path):
    pytest.importorskip("onnx", reason="needs onnx (the distill extra) to write a student")
    folder = write_tiny_student(tmp_path)
    path = folder / "denoise.int8.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    card = Card.read(folder)
    with pytest.raises(EngineError, match=r"denoise\.int8\.onnx has sha256 .*Copy the whole"):
        read_checked(folder, card.graph("denoise", "int8"))
    path.unlink()
    with pytest.raises(EngineError, match=r"names denoise\.int8\.onnx, but it cannot be read"):
        read_checked(folder, card.graph("denoise", "int8"))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_student_matches_its_card(name):
    folder = find(name)
    card = Card.read(folder)
    assert card.name == name
    for file in card.files():
        read_checked(folder, file)


def test_the_graphs_for_tensorrt_count_as_the_students_own():
    card = Card.read(find("null"))
    files = {kind: {"file": f"{kind}.onnx", "sha256": "1" * 64} for kind in ("int8", "int8_symmetric")}
    other = Card.model_validate(card.model_dump() | {"graphs": {"encode": files}})
    assert {file.file for file in other.files()} == {"int8.onnx", "int8_symmetric.onnx", "guard.npz"}
    assert other.hash != card.hash


def diffusion_facts() -> dict:
    return {
        "prediction": "epsilon",
        "sampler": {"kind": "euler", "noise": {"beta_schedule": "scaled_linear"}},
        "prompt": {"tokens": 77, "width": 32, "encoders": "e"},
        "size_multiple": 64,
        "default_size": 512,
        "base": "b",
    }


def diffusion_card(**more) -> Card:
    card = Card.read(find("null")).model_dump() | {"styles": (), "planes": "", "code_channels": 4}
    card |= {"diffusion": diffusion_facts(), "prompt": {"file": "prompt.safetensors", "sha256": "1" * 64}}
    return Card.model_validate(card | more)


def test_a_diffusion_student_has_facts_in_the_place_of_styles_and_planes():
    card = diffusion_card()
    assert card.kind == "diffusion" and card.parts == ("encode", "denoise", "decode")
    assert "prompt.safetensors" in {file.file for file in card.files()}
    assert [spec.name for spec in tensor_specs(card, "decode", (512, 512))[0]] == ["code"]
    own = diffusion_facts() | {"control": "residuals", "residuals": [{"channels": 32, "stride": 1}]}
    assert diffusion_card(diffusion=own).parts[-1] == "control"
    for wrong in ({"styles": ("ink",)}, {"planes": "blocks-112"}, {"prompt": None}):
        with pytest.raises(ValueError, match="a diffusion student has a prompt, and no styles"):
            diffusion_card(**wrong)


def test_weights_beside_a_graph_belong_to_it(tmp_path):
    graph, weights = tmp_path / "denoise.float.onnx", tmp_path / "denoise.float.onnx.data"
    graph.write_bytes(b"graph")
    plain = card_file(graph)
    assert plain.data is None and plain.whole == plain.sha256 and read_graph(tmp_path, plain) == b"graph"
    weights.write_bytes(b"weights")
    file = card_file(graph)
    assert read_graph(tmp_path, file) == graph and file.whole != plain.whole
    weights.write_bytes(b"weight!")
    with pytest.raises(EngineError, match=r"denoise\.float\.onnx\.data has sha256 .*Copy the whole"):
        read_graph(tmp_path, file)
    weights.unlink()
    with pytest.raises(EngineError, match="has sha256 nothing"):
        read_graph(tmp_path, file)
