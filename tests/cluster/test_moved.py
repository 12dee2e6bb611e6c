"""Where artifacts lie, after the runs folder went from a head to a laptop and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from search.disk.mlflow_database import FOLDER, SERVED, follow

COLUMNS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def database(folder: Path, *locations: str) -> Path:
    """As MLflow leaves it, with a run and a model below each experiment's location."""
    file = folder / "mlflow.db"
    with closing(sqlite3.connect(file)) as made, made:
        for table, column in COLUMNS.items():
            made.execute(f"create table {table} ({column})")
        for place in locations:
            below = place.rstrip("/")
            values = (place, f"{below}/r/artifacts", f"{below}/models/m", f"{below}/models/m")
            for (table, _), value in zip(COLUMNS.items(), values, strict=True):
                made.execute(f"insert into {table} values (?)", (value,))
    return file


def found(file: Path) -> list[list[str]]:
    with closing(sqlite3.connect(file)) as read:
        return [
            [value for (value,) in read.execute(f"select {column} from {table}")]
            for table, column in COLUMNS.items()
        ]


HEAD = f"{SERVED}/1"
LAPTOP = Path("/", "runs", FOLDER).as_uri()
COPY = Path("/", "copy", FOLDER).as_uri()
ELSEWHERE = Path("/", "elsewhere", "of", "mine").as_uri()


@pytest.mark.parametrize(
    ("place", "root", "then"),
    [
        (HEAD, LAPTOP, f"{LAPTOP}/1"),
        (f"{LAPTOP}/1", COPY, f"{COPY}/1"),
        (LAPTOP, COPY, COPY),
        (LAPTOP, SERVED, f"{SERVED}/"),
        (f"{LAPTOP}/1", SERVED, HEAD),
        (f"{SERVED}/", LAPTOP, f"{LAPTOP}/"),
        ("s3://bucket/mlartifacts", LAPTOP, "s3://bucket/mlartifacts"),
        (ELSEWHERE, LAPTOP, ELSEWHERE),
    ],
)
def test_locations_lead_to_where_the_folder_is(
    tmp_path: Path, place: str, root: str, then: str
) -> None:
    file = database(tmp_path, place)
    follow(file, root)
    below = then.rstrip("/")
    assert found(file) == [[then], [f"{below}/r/artifacts"], *[[f"{below}/models/m"]] * 2]
    content = file.read_bytes()
    follow(file, root)
    assert file.read_bytes() == content


def test_each_experiment_follows(tmp_path: Path) -> None:
    file = database(tmp_path, f"{SERVED}/0", HEAD, "s3://bucket/x")
    follow(file, LAPTOP)
    assert found(file)[0] == [f"{LAPTOP}/0", f"{LAPTOP}/1", "s3://bucket/x"]


def test_where_no_database_is_none_is_made(tmp_path: Path) -> None:
    follow(tmp_path / "mlflow.db", LAPTOP)
    assert not any(tmp_path.iterdir())
