"""Data in a bucket: a folder stands in for one, by pyarrow's own file system for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.files.own_folder import own_folder
from trainables.tasks.rows import buckets
from trainables.tasks.rows.buckets import local
from trainables.tasks.rows.reading import read_rows

COLUMNS = {"sequence": "s", "target": "t"}


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "here"))
    (tmp_path / "bucket" / "t=1").mkdir(parents=True)
    return tmp_path / "bucket"


def write(path: Path, *rows: int) -> None:
    pq.write_table(pa.table({"s": [[row, row] for row in rows], "t": list(rows)}), path)


def test_a_file_is_copied_once(bucket: Path) -> None:
    write(bucket / "a.parquet", 1, 2)
    copy = local((bucket / "a.parquet").as_uri())
    assert copy.read_bytes() == (bucket / "a.parquet").read_bytes()
    copied = copy.stat().st_mtime_ns
    assert local((bucket / "a.parquet").as_uri()).stat().st_mtime_ns == copied
    assert len(read_rows((bucket / "a.parquet").as_uri(), COLUMNS)) == 2


def test_a_file_that_changed_is_copied_again(bucket: Path) -> None:
    write(bucket / "a.parquet", 1, 2)
    assert len(read_rows((bucket / "a.parquet").as_uri(), COLUMNS)) == 2
    write(bucket / "a.parquet", 1, 2, 3)
    assert len(read_rows((bucket / "a.parquet").as_uri(), COLUMNS)) == 3


def test_a_folder_keeps_its_layout(bucket: Path) -> None:
    for key in (1, 2):
        (bucket / f"t={key}").mkdir(exist_ok=True)
        pq.write_table(pa.table({"s": [[key]] * key}), bucket / f"t={key}" / "a.parquet")
    rows = read_rows(bucket.as_uri(), COLUMNS)
    assert rows.columns["target"].to_pylist() == [1, 2, 2]


@pytest.mark.parametrize(
    "address", [Path("nowhere/at/all.parquet").absolute().as_uri(), "nosuch://bucket/data"]
)
def test_what_cannot_be_read_is_named_in_one_line(bucket: Path, address: str) -> None:
    with pytest.raises(ValueError, match=address) as refused:
        read_rows(address, COLUMNS)
    assert "\n" not in str(refused.value)


def test_a_copy_that_was_cut_off_is_not_taken(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(bucket / "a.parquet", 1, 2)

    def cut_off(*_: object, **__: object) -> None:
        raise OSError("the network is gone")

    with monkeypatch.context() as broken:
        broken.setattr("trainables.tasks.rows.buckets.fs.copy_files", cut_off)
        with pytest.raises(ValueError, match="the network is gone"):
            local((bucket / "a.parquet").as_uri())
    assert len(read_rows((bucket / "a.parquet").as_uri(), COLUMNS)) == 2


@pytest.mark.parametrize("how", ["a link", "open to others", "a file"])
def test_copies_lie_where_nobody_else_can_put_others(tmp_path: Path, how: str) -> None:
    """Whoever shares the machine could lay the folder first, and give other data."""
    folder = tmp_path / "copies"
    if how == "a link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "theirs")
    elif how == "a file":
        folder.write_text("")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(ValueError, match="is not a folder that you alone may write to"):
        own_folder(folder, "copies", "TMPDIR")
    mine = tmp_path / "mine"
    assert own_folder(mine, "copies", "TMPDIR").stat().st_mode & 0o777 == 0o700
    mine.chmod(0o755)
    assert own_folder(mine, "copies", "TMPDIR") == mine
    assert mine.stat().st_mode & 0o777 == 0o700, "closed to others' eyes"


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("gs://b/x", "gs://b/x?retry_limit_seconds=5"),
        ("gcs://b/x?anonymous=true", "gcs://b/x?anonymous=true&retry_limit_seconds=5"),
        ("gs://b/x?retry_limit_seconds=900", "gs://b/x?retry_limit_seconds=900"),
        ("s3://b/x", "s3://b/x"),
    ],
)
def test_google_is_asked_again_for_seconds_unless_told_otherwise(
    address: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client asks for a quarter of an hour where nothing answers."""
    seen = []

    def from_uri(uri: str) -> None:
        seen.append(uri)
        raise OSError("no answer")

    monkeypatch.setattr(buckets.fs, "FileSystem", type("Away", (), {"from_uri": from_uri}))
    with pytest.raises(ValueError, match="no answer"):
        local(address)
    assert seen == [asked]
