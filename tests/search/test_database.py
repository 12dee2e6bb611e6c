"""MLflow's database beside the searches, damaged or half made: found, named, written anew."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from search.disk.folder import SearchFolder
from search.disk.mlflow_database import damage, set_aside_if_damaged
from search.disk.record import Record
from search.recording.recorder import Recorder
from search.recording.tracker import Tracker
from tests.search.test_recording import SPEC, folder, record
from tests.search.test_recording_faults import assert_holds_all_once, several
from tests.search.test_refusals import run

__all__ = ["folder", "record"]  # fixtures

PAGE = 4096


def without_its_head(content: bytes) -> bytes:
    return b"\0" * PAGE + content[PAGE:]


def overwritten(content: bytes) -> bytes:
    """All but the head and the schema's first page: what a disk that lost its blocks leaves."""
    return content[: 2 * PAGE] + b"\xa5" * (len(content) - 2 * PAGE)


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2 // PAGE * PAGE]


DAMAGES = [without_its_head, overwritten, truncated]


def record_all(folder: SearchFolder, records: list[Record]) -> str | None:
    recorder = Recorder(SPEC, folder)
    recorder.start(records)
    return recorder.close(records, finished=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_database_is_set_aside_and_written_anew(
    folder: SearchFolder,
    record: Record,
    how: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    records = several(folder, record)
    assert record_all(folder, records) is None
    # Elsewhere: this process's MLflow keeps what it has opened once.
    moved = SearchFolder(tmp_path_factory.mktemp("elsewhere") / "runs", folder.name)
    shutil.copytree(folder.runs, moved.runs)
    database = moved.runs / "mlflow.db"
    damaged = how(database.read_bytes())
    database.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        assert record_all(moved, records) is None
    assert_holds_all_once(f"sqlite:///{database}", moved, records)
    assert (moved.runs / "mlflow.db.damaged").read_bytes() == damaged
    (line,) = [entry.message for entry in caplog.records if "damaged" in entry.message]
    assert str(database) in line
    assert "longspan resume" in line


def test_a_database_in_use_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "mlflow.db"
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, timeout=0))
    with closing(connect(database)) as writer:
        writer.execute("CREATE TABLE experiments (name)")
        writer.execute("BEGIN EXCLUSIVE")
        assert damage(database) is None
        set_aside_if_damaged(database)
    assert names(tmp_path) == ["mlflow.db"]


@pytest.mark.parametrize("half", [b"", None])
def test_one_that_was_cut_off_while_it_was_made_is_made_to_its_end(
    folder: SearchFolder, record: Record, half: bytes | None
) -> None:
    """An empty file, and one with a table of many."""
    database = folder.runs / "mlflow.db"
    database.unlink()
    if half is None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    else:
        database.write_bytes(half)
    Tracker(SPEC, folder).send(record)
    assert_holds_all_once(f"sqlite:///{database}", folder, [record])


def test_the_pages_of_a_damaged_one_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"x" * 5000)
    assert run(monkeypatch, "ui", "--runs", str(tmp_path)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "mlflow.db is damaged (file is not a database)" in line
