"""Reading a search needs no writing: what only shows works on a runs folder that is read only."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import longspan
from search.disk.folder import SearchFolder
from tests.search.conftest import in_process
from tests.search.test_damage import damage, torn
from tests.search.written_down import written_down

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate",
           "os.chmod", "os.utime")  # fmt: skip

_watched: list[tuple[str, list[str]]] = []
"""Of each watch the folder, and what was done there."""


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched or event not in ("open", *CHANGES):
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
        return
    for folder, done in _watched:
        paths = [os.fsdecode(path) for path in arguments if isinstance(path, str | bytes)]
        if any(os.path.abspath(path).startswith(folder) for path in paths):  # noqa: PTH100 - a hook that makes no Path
            done.append(f"{event} {paths}")


sys.addaudithook(_hear)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Of all that lies there, when it was changed and how long it is."""
    found = {str(path): path.lstat() for path in [folder, *folder.rglob("*")]}
    return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in found.items()}


@contextmanager
def nothing_is_written(folder: Path) -> Iterator[None]:
    """Neither opened for writing nor changed, by Python or by anything else."""
    before, done = state(folder), list[str]()
    _watched.append((str(folder), done))
    try:
        yield
    finally:
        _watched.pop()
    assert done == []
    assert state(folder) == before


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchFolder:
    monkeypatch.chdir(tmp_path)
    return written_down(tmp_path / "runs")


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "damaged"])
def test_showing_and_exporting_write_nothing(
    folder: SearchFolder, whole: bool, tmp_path: Path
) -> None:
    if not whole:
        for file in (folder.spec, folder.path / "search.json", folder.trial(1) / "record.json"):
            damage(file, torn)
    there = str(tmp_path / "there")
    commands = [
        ["status", "made"],
        ["status", "made", "--json"],
        ["report", "made", "--to", f"{there}/page.html"],
        ["export", "made", "--to", there, "--without-damaged"],
        ["certify", "--help"],
    ]
    for command in commands:
        with nothing_is_written(folder.runs):
            done = in_process(*command)
        assert done.returncode == 0, done.stderr
    with nothing_is_written(folder.runs):
        assert len(longspan.open("made").trials) == (3 if whole else 2)


def test_the_watch_would_see_it(folder: SearchFolder) -> None:
    for change in (folder.spec.touch, folder.spec.unlink, folder.trial(9).mkdir):
        with pytest.raises(AssertionError), nothing_is_written(folder.runs):
            change()


def test_a_report_of_what_cannot_be_written_to_lies_here(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever runs the tests may be allowed to write anywhere, so the disk's answer is made up."""
    opened = os.open

    def read_only(path: Any, flags: int, *how: Any, **named: Any) -> int:
        if flags & WRITING and folder.runs in Path(os.fspath(path)).parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *how, **named)

    monkeypatch.setattr(os, "open", read_only)
    done = in_process("report", "made")
    assert done.returncode == 0, done.stderr
    assert f"The page: {(tmp_path / 'made-report.html').as_uri()}" in done.stdout
    assert (tmp_path / "made-report.html").stat().st_size > 0
