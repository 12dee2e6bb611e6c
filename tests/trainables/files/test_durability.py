"""What is written is on the disk before it takes the old one's name, and the old one until then."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables.files import checkpoint, weights, whole_files


class PowerCutError(Exception):
    """Nothing after this happens."""


def write_checkpoint(path: Path, value: int) -> None:
    checkpoint.write(path, {"value": value})


def read_checkpoint(path: Path) -> int | None:
    state = checkpoint.read(path)
    return None if state is None else int(state["value"])


def write_weights(path: Path, value: int) -> None:
    weights.write(path, {"value": torch.tensor(value)})


def read_weights(path: Path) -> int:
    return int(weights.read(path)["value"])


WRITERS: dict[str, tuple[Callable[[Path, int], None], Callable[[Path], Any]]] = {
    "checkpoint.pt": (write_checkpoint, read_checkpoint),
    "8-0.safetensors": (write_weights, read_weights),
    "record.json": (whole_files.write_json, whole_files.read_json),
}

kinds = pytest.mark.parametrize("name", WRITERS)


@kinds
def test_a_crash_before_the_new_one_has_its_name_leaves_the_old_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written in place, the old one would be gone by then."""
    write, read = WRITERS[name]
    path = tmp_path / name
    write(path, 1)

    def cut(*_: Any) -> None:
        raise PowerCutError

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", cut)
        with pytest.raises(PowerCutError):
            write(path, 2)
    assert read(path) == 1
    write(path, 3)
    assert read(path) == 3


@kinds
def test_it_is_flushed_to_the_disk_before_it_takes_the_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it: a rename that reaches the disk before the bytes do leaves an empty file there."""
    write, _ = WRITERS[name]
    path = tmp_path / name
    flushed: dict[int, int] = {}
    renamed: list[tuple[Path, int, int | None]] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        flushed[status.st_ino] = status.st_size

    def note_replace(source: Any, target: Any) -> None:
        status = Path(source).stat()
        renamed.append((Path(target), status.st_size, flushed.get(status.st_ino)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write(path, 1)
    ((target, size, on_disk),) = renamed
    assert target == path
    assert on_disk == size > 0
