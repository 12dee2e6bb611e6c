"""Weights on disk: what is read is what was written, or the file is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from trainables.files import weights

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3).t(),
    "b": torch.ones(3, dtype=torch.bfloat16).float(),
    "n": torch.tensor(7),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "8-0.safetensors"
    weights.write(path, TENSORS)
    return path


def test_what_is_read_is_what_was_written(file: Path) -> None:
    found = weights.read(file)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    assert [path.name for path in file.parent.iterdir()] == ["8-0.safetensors"]


def truncated(content: bytes) -> bytes:
    return content[:-3]


def emptied(content: bytes) -> bytes:
    return b""


def bit_flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def bit_flipped_in_the_head(content: bytes) -> bytes:
    at = (
        content.index(b'"shape":[2') + 9
        if b'"shape":[2' in content
        else content.index(b"[3,2]") + 1
    )
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [truncated, emptied, bit_flipped, bit_flipped_in_the_head])
def test_damage_is_found_and_named(file: Path, damage: Callable[[bytes], bytes]) -> None:
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(weights.DamagedWeightsError, match=r"8-0\.safetensors") as error:
        weights.read(file)
    assert "\n" not in str(error.value)


def test_what_is_no_such_file_is_named_with_what_its_reader_says(file: Path) -> None:
    file.write_bytes(b"")
    with pytest.raises(weights.DamagedWeightsError) as error:
        weights.read(file)
    _, _, reason = str(error.value).rpartition("are damaged: ")
    assert "header" in reason.lower()


def test_weights_without_a_checksum_are_not_taken_on_trust(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(
        weights.DamagedWeightsError, match=r"x\.safetensors: .*: they carry no checksum$"
    ):
        weights.read(tmp_path / "x.safetensors")
