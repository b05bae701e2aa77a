"""Which adapter files a scene means, and why one is not taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_adapter import write_tiny_adapter

from vivant.engines.card import Card
from vivant.engines.contract import EngineError
from vivant.engines.kinds import kind_of
from vivant.engines.student import find
from vivant.runtime.adapters import found
from vivant.runtime.adapters.found import MOST, files_in, folders, named, worn_by
from vivant.runtime.scene import load_scene, tree_of


@pytest.fixture(scope="module")
def card() -> Card:
    return Card.read(find("house"))


@pytest.fixture
def looks(tmp_path: Path, card: Card) -> Path:
    folder = tmp_path / "looks"
    folder.mkdir()
    write_tiny_adapter(folder / "dusk.safetensors", card, host="ink")
    write_tiny_adapter(folder / "dawn.safetensors", card)
    (folder / "notes.txt").write_text("remember the milk")
    return folder


def test_a_scene_wears_what_lies_in_its_folders(looks: Path, tmp_path: Path) -> None:
    scene = tmp_path / "tide.toml"
    scene.write_text('title = "Tide"\nadapters = ["looks"]\nparameters.adapter.dusk = 0.5\n')
    loaded = load_scene(scene)
    assert folders(loaded.adapters) == [looks] and named(loaded.adapters) == []
    tree = tree_of(loaded)
    assert tree.value("/vivant/adapter/dusk") == 0.5 and tree.value("/vivant/adapter/dawn") == 0.0
    assert "dusk" in tree.media and "dawn" not in tree.media


def test_a_bad_file_in_a_folder_stops_no_show_and_is_told_with_its_reason(looks: Path, card: Card) -> None:
    (looks / "broken.safetensors").write_bytes(b"nothing")
    (looks / "old.ckpt").write_bytes(b"PK")
    write_tiny_adapter(looks / "foreign.safetensors", card, student="other")
    write_tiny_adapter(looks / "large.safetensors", card, rank=card.adapters.rank + 1)  # type: ignore[union-attr]
    _, worn, beside = worn_by("house", [str(looks)])
    assert {"dusk", "dawn"} <= worn.keys()
    reasons = {one.path.name: one.problem for one in beside if one.problem}
    assert reasons.keys() == {"broken.safetensors", "old.ckpt", "foreign.safetensors", "large.safetensors"}
    assert "it was made for other" in reasons["foreign.safetensors"]
    assert "rank:" in reasons["large.safetensors"]


def test_a_bad_file_that_a_scene_names_is_its_mistake(looks: Path) -> None:
    (looks / "broken.safetensors").write_bytes(b"nothing")
    (looks / "old.ckpt").write_bytes(b"PK")
    for name, reason in (("broken.safetensors", "Copy it again"), ("old.ckpt", "can run code")):
        with pytest.raises(EngineError, match=reason):
            worn_by("house", [str(looks / name)])


def test_a_pickle_a_huge_file_and_half_a_file_are_refused_unopened_with_what_to_do(
    looks: Path, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    (looks / "old.ckpt").write_bytes(b"PK")
    with (looks / "huge.safetensors").open("wb") as file:
        file.truncate(found.LARGEST + 1)
    whole = (looks / "dusk.safetensors").read_bytes()
    (looks / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(found, "_inspected", lambda card, path: pytest.fail(f"{path} was opened"))
    reasons = {name: found.looked_at(card, looks / name).problem for name in
               ("old.ckpt", "huge.safetensors", "half.safetensors")}  # fmt: skip
    assert "Save it as safetensors" in reasons["old.ckpt"]
    assert "2.0 GB, and an adapter has 2 at most" in reasons["huge.safetensors"]
    assert "Copy it again" in reasons["half.safetensors"]


@pytest.mark.parametrize("name", ["ink", "choose", "fade_s", "dawn", "riso"])
def test_a_name_that_is_taken_is_refused(looks: Path, card: Card, name: str) -> None:
    write_tiny_adapter(looks / "z.safetensors", card, name=name)
    _, _, beside = worn_by("house", [str(looks)])
    (problem,) = [one.problem for one in beside if one.problem]
    assert f"is named '{name}', and so is" in problem


def test_there_is_a_limit_to_the_adapters_of_a_show(tmp_path: Path, card: Card) -> None:
    own = len(kind_of(card).wardrobe(card))
    for number in range(MOST - own + 2):
        write_tiny_adapter(tmp_path / f"n{number:03d}.safetensors", card)
    _, worn, beside = worn_by("house", [str(tmp_path)])
    assert len(worn) == MOST
    assert [f"takes {MOST} adapters" in one.problem for one in beside][-3:] == [False, True, True]


def test_a_file_is_read_again_only_when_it_changed(
    looks: Path, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    worn_by("house", [str(looks)])
    read: list[Path] = []
    inspected = found._inspected
    monkeypatch.setattr(found, "_inspected", lambda card, path: read.append(path) or inspected(card, path))
    worn_by("house", [str(looks)])
    assert read == []
    write_tiny_adapter(looks / "dawn.safetensors", card, seed=9, rank=3)
    worn_by("house", [str(looks)])
    assert read == [looks / "dawn.safetensors"]


def test_a_folder_that_is_away_holds_nothing(tmp_path: Path) -> None:
    assert files_in(tmp_path / "share") == []
    assert folders([str(tmp_path), "x" * 5000]) == [tmp_path]
