"""What adapter files of every kind share: when one is whole, its hash, its licence."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from vivant.engines.adapter_file import LONGEST_LICENSE, is_whole, license_of, sha256_of
from vivant.engines.contract import EngineError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dusk.safetensors"
    save_file({"a": np.ones((3, 5), np.float32)}, path, {"license": "CC-BY-4.0"})
    return path


def test_a_file_is_whole_when_it_has_the_length_that_its_header_says(file: Path) -> None:
    data = file.read_bytes()
    assert is_whole(file)
    for length in (0, 4, 12, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:length])
        assert not is_whole(file)
    file.write_bytes(data + b"more")
    assert not is_whole(file)


def test_what_is_no_safetensors_file_or_is_gone_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "dusk.safetensors"
    assert not is_whole(path)
    for content in (b"\xff" * 64, b"\x02" + bytes(7) + b"[]", b"PK\x03\x04" + bytes(90)):
        path.write_bytes(content)
        assert not is_whole(path)


def test_the_hash_is_that_of_the_whole_content(file: Path) -> None:
    assert sha256_of(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_licence_is_what_the_file_states_or_the_text_beside_it(file: Path) -> None:
    assert license_of(file, {"modelspec.license": "MIT"}) == "MIT"
    assert license_of(file, {}) == ""
    file.with_suffix(".license.txt").write_text("Do as you like.\nBut say who made it.\n")
    assert license_of(file, {}) == "Do as you like.\nBut say who made it."


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"\x1b[31mred", b"a" * (LONGEST_LICENSE + 1)])
def test_a_licence_that_is_no_text_is_refused(file: Path, text: bytes) -> None:
    file.with_suffix(".license.txt").write_bytes(text)
    with pytest.raises(EngineError, match="licen"):
        license_of(file, {})
