"""The copy of the runs folder in a bucket; a folder stands in for one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from search.cluster import bucket_mirror as mirror
from search.cluster.bucket_mirror import Mirror, fetch
from trainables.files.whole_files import aside_of


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    (folder / "x" / "trials" / "00000" / "weights").mkdir(parents=True)
    (folder / "x" / "trials" / "00000" / "record.json").write_text("{}")
    (folder / "x" / "trials" / "00000" / "weights" / "0").write_bytes(b"w")
    (folder / "x" / "study.journal").write_text("1\n")
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        database.execute("create table runs (name)")
        database.execute("insert into runs values ('x')")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".db"
    }


def test_a_new_head_has_what_the_old_one_had(runs: Path, tmp_path: Path) -> None:
    uri = (tmp_path / "bucket").as_uri()
    assert Mirror(runs, uri).update()
    (tmp_path / "new").mkdir()
    fetch(uri, tmp_path / "new")
    assert contents(tmp_path / "new") == contents(runs)
    with closing(sqlite3.connect(tmp_path / "new" / "mlflow.db")) as database:
        assert database.execute("select name from runs").fetchall() == [("x",)]


def test_nothing_to_fetch_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    fetch((tmp_path / "bucket").as_uri(), tmp_path / "new")
    assert not any((tmp_path / "new").iterdir())


def test_changes_are_copied_and_what_is_gone_goes(runs: Path, tmp_path: Path) -> None:
    copy = Mirror(runs, (tmp_path / "bucket").as_uri())
    assert copy.update()
    (runs / "x" / "study.journal").write_text("1\n2\n")
    (runs / "x" / "trials" / "00000" / "weights" / "0").unlink()
    (runs / "x" / ".hidden").mkdir()
    (runs / "x" / ".hidden" / "half").write_text("half")
    aside_of(runs / "x" / "record.json").write_text("half")
    (runs / "x" / "weights.new").write_text("half")
    assert copy.update()
    found = contents(tmp_path / "bucket")
    assert found["x/study.journal"] == b"1\n2\n"
    assert "x/trials/00000/weights/0" not in found
    assert b"half" not in found.values()


def test_what_refers_to_others_is_copied_after_them(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    stream = mirror._stream

    def noted(here: object, source: str, there: object, target: str) -> None:
        order.append(Path(target).name)
        stream(here, source, there, target)

    monkeypatch.setattr(mirror, "_stream", noted)
    assert Mirror(runs, (tmp_path / "bucket").as_uri()).update()
    assert order == ["0", "record.json", "study.journal", "mlflow.db"]


def test_a_bucket_that_fails_is_written_later(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Mirror(runs, (tmp_path / "bucket").as_uri())

    def refused(*_: object) -> None:
        raise OSError("503 Slow Down")

    with monkeypatch.context() as broken:
        broken.setattr(mirror, "_stream", refused)
        assert not copy.update()
    assert "503 Slow Down" in caplog.text
    assert copy.update()
    assert contents(tmp_path / "bucket") == contents(runs)


def test_a_fetch_that_is_cut_off_is_begun_again(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = (tmp_path / "bucket").as_uri()
    assert Mirror(runs, uri).update()
    new = tmp_path / "new"
    new.mkdir()

    def cut_off(_: object, target: str, **how: object) -> None:
        (Path(target) / "half").touch()
        raise OSError("connection reset")

    with monkeypatch.context() as broken:
        broken.setattr(mirror.fs, "copy_files", cut_off)
        with pytest.raises(OSError, match="connection reset"):
            fetch(uri, new)
    assert not any(new.iterdir())
    fetch(uri, new)
    assert contents(new) == contents(runs)


def test_a_file_that_goes_while_others_are_copied_is_no_failure(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Mirror(runs, (tmp_path / "bucket").as_uri())
    going = runs / "x" / "trials" / "00000" / "weights" / "1"
    going.touch()
    stream = mirror._stream

    def noted(here: object, source: str, there: object, target: str) -> None:
        going.unlink(missing_ok=True)
        stream(here, source, there, target)

    monkeypatch.setattr(mirror, "_stream", noted)
    assert copy.update()
    assert copy.update()
    assert contents(tmp_path / "bucket") == contents(runs)
