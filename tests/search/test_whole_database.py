"""MLflow's database is made whole or not at all, wherever the runs folder lies."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from search.disk.folder import SearchFolder
from search.disk.mlflow_database import SCHEMA, set_aside_whole, uri_of
from search.disk.record import Record
from search.errors import UserError
from search.recording import whole_database
from search.recording.tracker import Tracker
from search.recording.whole_database import make_whole
from tests.search.test_recording import SPEC, folder, record
from tests.search.test_recording_faults import assert_holds_all_once

__all__ = ["folder", "record"]  # fixtures


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole database; making one takes seconds."""
    database = tmp_path_factory.mktemp("made") / "mlflow.db"
    make_whole(database)
    return database.read_bytes()


def version(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "name", ["here?x=1", "My%20Data", "My Runs 100% #1 größe %41", "a?b/%3F c"]
)
def test_any_path_will_do(
    name: str,
    tmp_path_factory: pytest.TempPathFactory,
    folder: SearchFolder,
    record: Record,
    made: bytes,
) -> None:
    """In an address ``?`` ends the path: two folders that differ behind it shared a database."""
    place = tmp_path_factory.mktemp("place")
    moved = SearchFolder(place / name, folder.name)
    shutil.copytree(folder.runs, moved.runs)
    (moved.runs / "mlflow.db").write_bytes(made)
    Tracker(SPEC, moved).send(record)
    assert_holds_all_once(uri_of(moved.runs / "mlflow.db"), moved, [record])
    assert listed(place) == [Path(name).parts[0]]


@pytest.mark.parametrize("name", ["made here?x", "%41"])
def test_it_is_made_under_any_path(name: str, tmp_path: Path) -> None:
    database = tmp_path / name / "mlflow.db"
    make_whole(database)
    assert version(database) == SCHEMA
    assert listed(tmp_path) == [name]
    assert listed(database.parent) == [".mlflow.db.lock", "mlflow.db"]


KILLED = """
import os, sqlite3, sys
from pathlib import Path
import mlflow.db
from search.recording.whole_database import make_whole

def dies(arguments, **_):
    connection = sqlite3.connect(arguments[0].removeprefix("sqlite:///"))
    connection.execute("CREATE TABLE experiments (name)")
    connection.commit()
    connection.execute("CREATE TABLE runs (name)")
    os.kill(os.getpid(), 9)

mlflow.db.upgrade.main = dies
make_whole(Path(sys.argv[1]))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine keeps empty databases: nowhere yet."""
    monkeypatch.setenv("LONGSPAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mlflow"


def test_the_second_on_a_machine_is_a_copy_of_the_first(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its migrations took seconds of every first search in a runs folder."""
    make_whole(tmp_path / "a" / "mlflow.db")
    assert listed(cache) == [f"{metadata.version('mlflow')}.kept"]
    monkeypatch.setattr("mlflow.db.upgrade.main", None)
    make_whole(tmp_path / "b" / "mlflow.db")
    first, second = (tmp_path / name / "mlflow.db" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path).encode() not in second.read_bytes()
    MlflowClient(uri_of(second)).search_experiments()


def foreign(kept: Path, good: bytes) -> None:
    """Another database, which says of itself that its tables are the newest."""
    with closing(sqlite3.connect(kept)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (SCHEMA,))
        connection.commit()


def others_may_write(kept: Path, good: bytes) -> None:
    kept.write_bytes(good)
    kept.chmod(0o666)


def a_link(kept: Path, good: bytes) -> None:
    kept.with_name("theirs").write_bytes(good)
    kept.symlink_to("theirs")


SPOILT: dict[str, Callable[[Path, bytes], Any]] = {
    "empty": lambda kept, good: kept.write_bytes(b""),
    "cut": lambda kept, good: kept.write_bytes(good[: len(good) // 2]),
    "a bit": lambda kept, good: kept.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:]),
    "without its sum": lambda kept, good: kept.write_bytes(good[64:]),
    "foreign": foreign,
    "others may write": others_may_write,
    "a link": a_link,
    "a pipe": lambda kept, good: os.mkfifo(kept),
    "a folder": lambda kept, good: kept.mkdir(),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_kept_is_taken_as_it_was_kept_or_not_at_all(
    how: str, tmp_path: Path, cache: Path, made: bytes
) -> None:
    """Whatever said that it was of the newest tables was taken, from whomever it came."""
    (tmp_path / "first").write_bytes(made)
    whole_database._keep(tmp_path / "first")
    kept = cache / f"{metadata.version('mlflow')}.kept"
    good = kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert whole_database._copied(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == made
    kept.unlink()
    SPOILT[how](kept, good)
    assert not whole_database._copied(tmp_path / "aside")
    assert not (tmp_path / "aside").exists()
    (cache / ".a.999999999-00000000.new").touch()  # of one that was killed
    whole_database._keep(tmp_path / "first")
    assert not any(".new" in name for name in listed(cache))
    assert whole_database._copied(tmp_path / "aside") == (how != "a folder")


def test_one_that_another_writes_to_is_waited_for(
    tmp_path: Path, made: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A copy took its place: whatever the other wrote to it from then on was lost."""
    database = tmp_path / "mlflow.db"
    database.write_bytes(made)
    before = database.stat().st_ino
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        looks: list[float] = []

        def sleep(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 8:
                other.rollback()

        monkeypatch.setattr(time, "sleep", sleep)
        make_whole(database)
        assert len(looks) == 8
        assert caplog.text.count("another process writes to it, and is waited for") == 1
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(whole_database, "SECONDS_TO_WAIT", 3)
        with pytest.raises(UserError, match="another process has held it for 3 s"):
            make_whole(database)
    assert database.stat().st_ino == before
    assert listed(tmp_path) == ["mlflow.db"]


def test_without_a_cache_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LONGSPAN_CACHE", str(tmp_path / "file"))
    make_whole(tmp_path / "mlflow.db")
    assert version(tmp_path / "mlflow.db") == SCHEMA


@pytest.mark.usefixtures("cache")
def test_a_kill_while_it_is_made_leaves_none(tmp_path: Path) -> None:
    database = tmp_path / "runs" / "mlflow.db"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False)
    assert killed.returncode == -9
    assert not database.exists()
    assert any(".new" in name for name in listed(database.parent))
    make_whole(database)
    assert listed(database.parent) == [".mlflow.db.lock", "mlflow.db"]
    assert version(database) == SCHEMA


def test_two_at_once_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bytes) -> None:
    database, times = tmp_path / "mlflow.db", []

    def makes(place: Path) -> Path:
        times.append(place)
        aside = place.with_name(f"aside-{len(times)}")
        aside.write_bytes(made)
        return aside

    monkeypatch.setattr(whole_database, "_made", makes)
    two = [threading.Thread(target=make_whole, args=(database,)) for _ in range(2)]
    for one in two:
        one.start()
    for one in two:
        one.join()
    assert len(times) == 1
    assert version(database) == SCHEMA


@pytest.mark.parametrize(
    "change",
    ["UPDATE alembic_version SET version_num = 'of_tomorrow'", "DELETE FROM alembic_version",
     "UPDATE alembic_version SET version_num = '451aebb31d03'"],
)  # fmt: skip
def test_one_that_is_not_at_the_head_is_set_aside(
    tmp_path: Path, made: bytes, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All tables are there, so that their migrations fail."""
    database = tmp_path / "mlflow.db"
    database.write_bytes(made)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(change)
        connection.commit()
    before = database.read_bytes()
    make_whole(database)
    assert version(database) == SCHEMA
    MlflowClient(uri_of(database)).search_experiments()
    assert (tmp_path / "mlflow.db.damaged").read_bytes() == before
    assert "it is now mlflow.db.damaged" in caplog.text


def test_several_set_aside_keep_apart_with_their_journals(tmp_path: Path) -> None:
    """A journal that stays behind would be played into the next database of its name."""
    for content in (b"one", b"two", b"three"):
        (tmp_path / "mlflow.db").write_bytes(content)
        (tmp_path / "mlflow.db-journal").write_bytes(content + b"'s")
        set_aside_whole(tmp_path / "mlflow.db")
    found = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert found == {
        "mlflow.db.damaged": b"one", "mlflow.db.damaged-journal": b"one's",
        "mlflow.db.damaged-2": b"two", "mlflow.db.damaged-2-journal": b"two's",
        "mlflow.db.damaged-3": b"three", "mlflow.db.damaged-3-journal": b"three's",
    }  # fmt: skip
