"""One way to keep a file whole: synced before it is renamed, and the rename synced after it."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables.files import checkpoint, weights
from trainables.files.whole_files import (
    aside_of,
    is_being_written,
    read_json,
    remove_left_over,
    set_aside,
    write_aside,
    write_json,
)

WRITERS: dict[str, Callable[[Path, int], None]] = {
    "bytes": lambda path, n: write_aside(path, b"%d" % n),
    "JSON": lambda path, n: write_json(path, n),
    "a checkpoint": lambda path, n: checkpoint.write(path, {"n": n}),
    "weights": lambda path, n: weights.write(path, {"n": torch.tensor(n)}),
}


class PowerCutError(Exception):
    """Nothing after this happens."""


def power_cut(*_: Any) -> None:
    raise PowerCutError


@pytest.fixture
def ended_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Callable[[Path, int], None]:
    return WRITERS[request.param]


def test_content_is_on_disk_before_the_name_is_and_the_name_before_it_returns(
    write: Callable[[Path, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = tmp_path / "file", []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        there = Path(f"/proc/self/fd/{descriptor}").readlink()
        done.append(("synced", "folder" if there == tmp_path else "file", there.stat().st_size > 0))
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> Path:
        done.append(("renamed", target.name, is_being_written(source)))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write(path, 1)
    assert [step for step in done if step[2] or step[0] == "synced"] == [
        ("synced", "file", True),
        ("renamed", "file", True),
        ("synced", "folder", done[-1][2]),
    ]


def test_a_power_cut_before_the_rename_leaves_what_was_there(
    write: Callable[[Path, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a byte of a file is changed in place."""
    path = tmp_path / "file"
    write(path, 1)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", power_cut)
    with pytest.raises(PowerCutError):
        write(path, 2)
    assert path.read_bytes() == before


def test_a_disk_that_takes_nothing_leaves_what_was_there_and_nothing_else(
    write: Callable[[Path, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write(path, 1)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, 2)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    assert aside_of(tmp_path / "file") != aside_of(tmp_path / "file")


def test_only_what_dead_writers_left_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended_process: int
) -> None:
    living = aside_of(tmp_path / "file")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(os, "getpid", lambda: ended_process)
        dead, folder = aside_of(tmp_path / "file"), aside_of(tmp_path / "folder")
    for file in (living, dead, tmp_path / "file", tmp_path / "file.new", tmp_path / ".hidden"):
        file.write_bytes(b"half")
    folder.mkdir()
    (folder / "half").touch()
    remove_left_over(tmp_path)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {living.name, "file", "file.new", ".hidden"}


def test_a_writer_that_belongs_to_somebody_else_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not be signalled; and no writer is sent more than the question."""
    asked = []

    def not_yours(process: int, signal: int) -> None:
        asked.append(signal)
        raise PermissionError

    theirs = aside_of(tmp_path / "file")
    theirs.touch()
    monkeypatch.setattr(os, "kill", not_yours)
    remove_left_over(tmp_path)
    assert theirs.exists()
    assert asked == [0]


@pytest.mark.parametrize(
    ("number", "minded"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)]
)
def test_a_folder_that_cannot_be_asked_is_not_and_one_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, minded: bool
) -> None:
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink() == tmp_path:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match="Input/output") if minded else nullcontext():
        write_aside(tmp_path / "file", b"1")
    assert (tmp_path / "file").read_bytes() == b"1"


def test_what_somebody_else_takes_away_at_that_moment_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended_process: int
) -> None:
    """Two drivers may tidy one folder; and a writer's own may be gone when its disk fails."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(os, "getpid", lambda: ended_process)
        aside_of(tmp_path / "file").touch()
    unlink = Path.unlink

    def too_late(path: Path, missing_ok: bool = False) -> None:
        unlink(path)
        unlink(path, missing_ok)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "unlink", too_late)
    remove_left_over(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_aside(tmp_path / "file", b"1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["checkpoint.new", "8-0.new", ".record.json.4711"])
def test_what_the_version_before_left_half_written_is_known(name: str) -> None:
    assert is_being_written(Path(name))
    assert is_being_written(aside_of(Path("folder") / "record.json"))


@pytest.mark.parametrize("name", ["checkpoint.pt", "record.json", ".search.json", "new", "00001"])
def test_what_is_whole_is_not_taken_for_half_written(name: str) -> None:
    assert not is_being_written(Path("folder") / name)


def test_nothing_that_was_set_aside_is_overwritten(tmp_path: Path) -> None:
    kept = []
    for content in ("first", "second", "third"):
        (tmp_path / "spec.yaml").write_text(content)
        kept.append(set_aside(tmp_path / "spec.yaml").name)
    assert kept == ["spec.yaml.damaged", "spec.yaml.damaged-2", "spec.yaml.damaged-3"]
    assert [(tmp_path / name).read_text() for name in kept] == ["first", "second", "third"]


def test_json_is_what_was_written(tmp_path: Path) -> None:
    write_json(tmp_path / "x", {"a": [1, 2.5, None, "é"]})
    assert read_json(tmp_path / "x") == {"a": [1, 2.5, None, "é"]}
