"""MLflow's own tables are touched in one place, and only as they were when it was written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from mlflow.tracking import MlflowClient

from search.disk import mlflow_database
from search.disk.mlflow_database import SCHEMA, follow


def made_by_mlflow(folder: Path) -> Path:
    """A new database with an experiment in it."""
    file = folder / "mlflow.db"
    client = MlflowClient(f"sqlite:///{file}")
    client.create_experiment("longspan", artifact_location=Path("/here/mlartifacts/1").as_uri())
    return file


def test_the_schema_is_the_one_that_the_columns_were_looked_up_in(tmp_path: Path) -> None:
    with closing(sqlite3.connect(made_by_mlflow(tmp_path))) as database:
        ((version,),) = database.execute("SELECT version_num FROM alembic_version")
        columns = {
            (table, name)
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for _, name, *_ in database.execute(f"PRAGMA table_info({table})")
        }
    missing = set(mlflow_database._COLUMNS) - columns
    assert not missing, f"MLflow has them no more: {missing}"
    assert version == SCHEMA, (
        f"MLflow's tables moved from {SCHEMA} to {version}. Read what its migrations since then "
        "(mlflow/store/db_migrations/versions) do to columns that hold an artifact's location; "
        "bring `search.disk.mlflow_database._COLUMNS` up to date if any was added, renamed or "
        "dropped, see tests/cluster/test_moved.py pass, then write the new version into `SCHEMA`."
    )


def test_what_mlflow_made_is_followed(tmp_path: Path) -> None:
    file = made_by_mlflow(tmp_path)
    follow(file, Path("/there/mlartifacts").as_uri())
    found = MlflowClient(f"sqlite:///{file}").get_experiment_by_name("longspan")
    assert found is not None
    assert found.artifact_location == Path("/there/mlartifacts/1").as_uri()


def test_what_lies_elsewhere_under_a_like_name_stays(tmp_path: Path) -> None:
    """Of names that SQL's LIKE would take for the same: another letter at ``_``, other case."""
    file = tmp_path / "mlflow.db"
    client = MlflowClient(f"sqlite:///{file}")
    places = [Path(f"/{name}/mlartifacts/1").as_uri() for name in ("my_runs", "my-runs", "MY_RUNS")]
    client.create_experiment("longspan", artifact_location=places[0])
    others = [f"{place}/kept" for place in places[1:]]
    for number, place in enumerate(others):
        client.create_experiment(f"other {number}", artifact_location=place)
    follow(file, Path("/there/mlartifacts").as_uri())
    found = {
        experiment.name: experiment.artifact_location
        for experiment in MlflowClient(f"sqlite:///{file}").search_experiments()
    }
    assert found["longspan"] == Path("/there/mlartifacts/1").as_uri()
    assert [found[f"other {number}"] for number in range(2)] == others
