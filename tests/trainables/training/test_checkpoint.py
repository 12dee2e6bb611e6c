"""Checkpoints: whole, or gone round; a crash at any moment leaves one."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.files import checkpoint
from trainables.files.whole_files import is_being_written

OLD = {"step": 1, "weights": torch.arange(6.0).reshape(2, 3)}
NEW = {"step": 2, "weights": torch.arange(6.0).reshape(2, 3) + 1}


class PowerCutError(Exception):
    """Nothing after this happens."""


def saved_twice(folder: Path) -> Path:
    path = folder / "checkpoint.pt"
    checkpoint.write(path, OLD)
    checkpoint.write(path, NEW)
    return path


def step_of(path: Path) -> int | None:
    state = checkpoint.read(path)
    return None if state is None else int(state["step"])


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """Everything that a trial saves: tensors of any type, tuples, None, floats to the last bit."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))], fused=True)
    optimizer.param_groups[0]["params"][0].grad = torch.ones(3)
    optimizer.step()
    state: dict[str, Any] = {
        "floats": [0.1, float("inf"), 1e-300],
        "nothing": None,
        "flag": True,
        "pairs": {(8, 0): (3, 4)},
        "text": "lag",
        "generator": torch.Generator().manual_seed(5).get_state(),
        "optimizer": optimizer.state_dict(),
        "tensors": {t: torch.ones(2, dtype=t) for t in (torch.float64, torch.bfloat16, torch.bool)},
    }
    checkpoint.write(tmp_path / "checkpoint.pt", state)
    read = checkpoint.read(tmp_path / "checkpoint.pt")
    assert read is not None
    tensors, expected = read.pop("tensors"), state.pop("tensors")
    assert all(torch.equal(tensors[t], expected[t]) for t in expected)
    assert torch.equal(read.pop("generator"), state.pop("generator"))
    assert str(read) == str(state)


def test_where_nothing_was_written_there_is_none(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path / "checkpoint.pt") is None


def truncated(content: bytes) -> bytes:
    return content[:-1]


def emptied(content: bytes) -> bytes:
    return b""


def cut_in_the_head(content: bytes) -> bytes:
    return content[:30]


def bit_flipped(content: bytes) -> bytes:
    return content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]


def of_something_else(content: bytes) -> bytes:
    return b"PK" + content[2:]


def grown(content: bytes) -> bytes:
    return content + b"\0"


@pytest.mark.parametrize(
    "tear", [truncated, emptied, cut_in_the_head, bit_flipped, of_something_else, grown]
)
def test_a_torn_checkpoint_is_named_and_gone_round(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tear: Callable[[bytes], bytes]
) -> None:
    path = saved_twice(tmp_path)
    assert step_of(path) == 2
    assert not caplog.records
    path.write_bytes(tear(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert step_of(path) == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: this checkpoint is torn (its checksum does not match); using an older "
        "checkpoint, or starting over"
    )


def test_two_torn_checkpoints_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved_twice(tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(truncated(file.read_bytes()))
    assert checkpoint.read(path) is None
    assert len(caplog.records) == 2


@settings(max_examples=60)
@given(st.data())
def test_any_flipped_bit_is_noticed(data: st.DataObject) -> None:
    """The head, the checksum and the content are all covered."""
    with tempfile.TemporaryDirectory() as folder:
        path = saved_twice(Path(folder))
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(bytes(content))
        assert step_of(path) == 1


@pytest.mark.parametrize("interrupted", range(5))
def test_a_crash_at_any_moment_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: int
) -> None:
    """Before the bytes are on disk, around the two renames, before the folder is synced, and after.

    What the writer that died has left is gone at the next start.
    """
    path = saved_twice(tmp_path)
    calls = iter(range(10))
    with subprocess.Popen(["true"]) as dead:
        dead.wait()

    def until_cut(really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if next(calls) == interrupted:
                raise PowerCutError
            return really(*arguments)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", until_cut(os.fsync))
        patched.setattr(Path, "replace", until_cut(Path.replace))
        patched.setattr(os, "getpid", lambda: dead.pid)
        try:
            checkpoint.write(path, {"step": 3})
            assert interrupted == 4
        except PowerCutError:
            assert interrupted < 4
    left = [file for file in tmp_path.iterdir() if file.suffix not in (".pt", ".previous")]
    assert len(left) == (interrupted < 3)
    assert all(is_being_written(file) for file in left)
    assert step_of(path) == (3 if interrupted >= 3 else 2)
    checkpoint.write(path, {"step": 4})
    assert step_of(path) == 4
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint.pt", "checkpoint.previous"}


def test_nothing_in_a_checkpoint_runs(tmp_path: Path) -> None:
    """A pickle that would run something is refused, its checksum right or not."""

    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    buffer = io.BytesIO()
    torch.save({"weights": Runs()}, buffer)
    payload = buffer.getvalue()
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"longspan checkpoint 1\n" + hashlib.sha256(payload).digest() + payload)
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.read(path)
    assert not (tmp_path / "ran").exists()
