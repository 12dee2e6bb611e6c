"""A search's spec on disk: torn, deleted or changed, it is never taken at its word."""

from __future__ import annotations

import errno
import logging
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from search import spec as specs
from search.disk.folder import MOVABLE, SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError

GIVEN = {
    "name": "s",
    "space": "quick",
    "tasks": [
        {"kind": "recall"},
        {"kind": "parquet", "path": "/data/a.parquet", "sequence": "x", "target": "y"},
    ],
    "search": {"trials": 12},
}


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    made = SearchFolder(tmp_path / "runs", "s")
    made.create(specs.take(GIVEN).to_yaml())
    return made


def test_cut_at_any_byte_it_is_put_back(folder: SearchFolder) -> None:
    whole = folder.spec.read_bytes()
    for end in (*range(0, len(whole) - 1, 11), len(whole) - 1):
        folder.spec.write_bytes(whole[:end])
        folder.require()
        assert folder.spec.read_bytes() == whole, end


def test_with_zeros_at_its_end_it_is_put_back(folder: SearchFolder) -> None:
    """As a power cut leaves it; its beginning may be the spec of another search."""
    whole = folder.spec.read_bytes()
    for end in range(0, len(whole) - 1, 23):
        folder.spec.write_bytes(whole[:end] + b"\0" * 7)
        folder.require()
        assert folder.spec.read_bytes() == whole, end


def test_flipped_bits_are_never_believed(
    folder: SearchFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """Put back, refused, or of the same meaning; where things lie may be another, as by hand."""
    caplog.set_level(logging.ERROR)
    draw, whole = random.Random(5), folder.spec.read_bytes()
    meant = meaning(folder)
    for _ in range(100):
        at = draw.randrange(len(whole))
        flipped = bytes([whole[at] ^ 1 << draw.randrange(8)])
        folder.spec.write_bytes(whole[:at] + flipped + whole[at + 1 :])
        with suppress(UserError):
            folder.require()
            assert meaning(folder) == meant


def meaning(folder: SearchFolder) -> dict[str, object]:
    """What its spec says, but for where things lie."""
    said = specs.read(folder.spec).model_dump(mode="json", exclude=set(MOVABLE))
    for task in said["tasks"]:
        task.pop("path", None)
    return said


def test_deleted_it_is_put_back_and_no_new_search_takes_its_trials(folder: SearchFolder) -> None:
    whole = folder.spec.read_bytes()
    folder.spec.unlink()
    assert folder.exists
    with pytest.raises(UserError, match="is taken"):
        folder.create("name: another\n")
    folder.require()
    assert folder.spec.read_bytes() == whole


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("search", "trials: 12", "trials: 64"),
        ("ladder", "stop: 4096", "stop: 64"),
        ("tasks", "alphabet: 8", "alphabet: 4"),
        ("space", "space: quick", "space: gated"),
        ("controls", "controls: refuse\n", ""),
    ],
)
def test_what_was_searched_is_not_changed_by_hand(
    key: str, old: str, new: str, folder: SearchFolder
) -> None:
    text = folder.spec.read_text()
    assert text.count(old) == 1
    folder.spec.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=f"{key} was changed by hand.*longspan resume s") as error:
        folder.require()
    assert "\n" not in str(error.value)
    folder.spec.unlink()
    folder.require()
    assert folder.spec.read_text() == text


def test_where_things_lie_may_be(folder: SearchFolder) -> None:
    text = folder.spec.read_text().replace("/data/a.parquet", "/moved/a.parquet")
    folder.spec.write_text(yaml.safe_dump(yaml.safe_load(text), sort_keys=True) + "# moved\n")
    folder.require()
    assert "/moved/a.parquet" in folder.spec.read_text()


def test_a_change_that_was_cut_off_is_completed(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = folder.spec.read_text().replace("trials: 12", "trials: 20")

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("search.disk.folder.write_aside", cut_off)
        with pytest.raises(KeyboardInterrupt):
            folder.change_spec(longer)
    folder.require()
    assert folder.spec.read_text() == longer


@pytest.mark.parametrize("end", [200, 400, -30, -1])
def test_cut_with_both_its_copies_torn_it_is_not_believed(folder: SearchFolder, end: int) -> None:
    """Nothing is left to hold it against, but that a search writes every key."""
    for name in ("search.json", ".search.json"):
        (folder.path / name).write_bytes((folder.path / name).read_bytes()[:60])
    whole = folder.spec.read_bytes()
    assert folder.look().name == folder.name
    folder.spec.write_bytes(whole[:end])
    with pytest.raises(UserError, match=r"spec\.yaml"):
        folder.look()
    with pytest.raises(UserError, match=r"spec\.yaml"):
        folder.require()
    assert folder.spec.read_bytes() == whole[:end]


@pytest.mark.parametrize("name", ["spec.yaml", "search.json", "trials/00001/record.json"])
@pytest.mark.parametrize("there", [os.mkdir, os.mkfifo, lambda file: file.symlink_to(file)])
def test_what_is_no_file_is_not_waited_for(
    folder: SearchFolder, name: str, there: Callable[[Path], None]
) -> None:
    file = folder.path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    there(file)
    assert folder.look().name == folder.name
    assert Ledger(folder).unreadable == (
        [f"{file}: damaged (it is no regular file)"] if name.startswith("trials") else []
    )


def test_a_record_that_cannot_be_read_is_said_and_the_rest_shown(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume waits until it can, and does not try its trial again."""
    record = folder.trial(1) / "record.json"
    record.parent.mkdir(parents=True)
    record.touch()
    opened = os.open

    def forbidden(path: str | Path, *flags: Any) -> int:
        if Path(path) == record:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *flags)

    monkeypatch.setattr(os, "open", forbidden)  # root may read everything
    ledger = Ledger(folder)
    (line,) = ledger.unreadable
    assert line.startswith(f"{record}: cannot be read: ")
    with pytest.raises(UserError, match="cannot be read"):
        ledger.require_known()
