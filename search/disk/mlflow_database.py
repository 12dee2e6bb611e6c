"""MLflow's SQLite database beside the searches: taken over from elsewhere, or found damaged."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlencode

from search.disk.locks import held
from trainables.files.whole_files import set_aside
from trainables.messages import one_line

log = logging.getLogger(__name__)

FILE = "mlflow.db"
"""In the runs folder."""

SEARCH_TAG = "longspan.search"
"""Of a run: the identity of its search."""

TRAINING = {"workflowType": "machine_learning"}
"""Of an address: the pages for training models, not those for language models' agents."""

FOLDER = "mlartifacts"
"""Beside the database."""

SERVED = "mlflow-artifacts:"
"""How whoever asks the server over a runs folder names the artifacts there."""

_ROOT = re.compile(rf"({SERVED}|file://.*/{FOLDER})(?:/\d*)?")
SCHEMA = "dc11669786a5"
"""The version of MLflow's tables that `follow` was written for, as its ``alembic_version`` says."""

_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def uri_of(database: Path) -> str:
    """Its address, for MLflow. SQLAlchemy reads one as a URL: ``?`` would begin a query."""
    return "sqlite:///" + str(database).replace("%", "%25").replace("?", "%3F")


def tracking_uri(given: str | None, runs: Path) -> str:
    """Where MLflow records and is shown: what a spec gives, or ``MLFLOW_TRACKING_URI``.

    Or else SQLite under the runs folder; however it is written, that has one address.
    """
    own = (runs / FILE).absolute()
    named = given or os.environ.get("MLFLOW_TRACKING_URI")
    if not named:
        return uri_of(own)
    file = unquote(named.removeprefix("sqlite:///"))
    return uri_of(own) if named.startswith("sqlite:///") and Path(file).absolute() == own else named


def view_key(search: str | None = None) -> str:
    """Of the view of a search's runs that MLflow shares, or of all searches'."""
    return f"longspan-{search}" if search else "longspan"


def filter_of(search: str) -> str:
    """What picks a search's runs, by its identity, in MLflow's words."""
    return f"tags.`{SEARCH_TAG}` = '{search}'"


def page_of_runs(database: Path, experiment: str, search: str | None = None) -> str:
    """Of MLflow's pages, the path to an experiment's runs, the longest reach first.

    Of one ``search`` alone, by its identity, if given; empty where there is no such experiment.
    Where an earlier version recorded, there is no view with its columns, only an order.
    """
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT experiment_id FROM experiments WHERE name = ?"
        found = connection.execute(query, (experiment,)).fetchone()
        if found is None:
            return ""
        query = "SELECT count(*) FROM experiment_tags WHERE experiment_id = ? AND key LIKE ?"
        key = view_key(search)
        has_view = connection.execute(query, (found[0], f"%.{key}")).fetchone()[0]
    if has_view:
        shown = {"viewStateShareKey": key}
    else:
        shown = {"orderByKey": "metrics.`reach`", "orderByAsc": "false", "startTime": "ALL"}
        if search is not None:
            shown["searchFilter"] = filter_of(search)
    return f"/#/experiments/{found[0]}/runs?{urlencode({**shown, **TRAINING})}"


def page_of_search(database: Path, search: str) -> str:
    """Of MLflow's pages, the path to a search's own run; empty where it has none."""
    query = """
        SELECT r.experiment_id, r.run_uuid FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid
        WHERE t.key = ? AND t.value = ? AND r.lifecycle_stage = 'active' AND r.run_uuid NOT IN
            (SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId')
    """
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(query, (SEARCH_TAG, search)).fetchone()
    return f"/{page_of_run(*found)}" if found else ""


def page_of_run(experiment: str, run: str) -> str:
    """Of MLflow's pages, from one of them to a run's."""
    return f"#/experiments/{experiment}/runs/{run}?{urlencode(TRAINING)}"


def remove_stray_folders(database: Path) -> None:
    """Remove the empty folders that MLflow makes where it takes the address for a path."""
    stray = Path(uri_of(database).removeprefix("sqlite:///")).parent
    while stray not in database.parents:
        with suppress(OSError):
            stray.rmdir()
        stray = stray.parent


SECONDS_TO_WAIT = 600.0
"""For another process that makes a database: MLflow's migrations take long on a busy machine."""

_COMPANIONS = ("-journal", "-wal", "-shm")
"""Files of SQLite's that belong to a database, and would spoil another of its name."""


@contextmanager
def exclusively(database: Path) -> Iterator[None]:
    """Make or replace the database, for one process at a time.

    Raises:
        UserError: if another does, and does not come to an end.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    refusal = f"{database}: another process has been making it for {SECONDS_TO_WAIT:.0f} s"
    with held(database.with_name(f".{database.name}.lock"), refusal, SECONDS_TO_WAIT):
        yield


def set_aside_whole(database: Path) -> Path:
    """Set a database aside with what belongs to it; under a name that nothing else has."""
    kept = set_aside(database)
    for companion in _COMPANIONS:
        file = database.with_name(database.name + companion)
        if file.exists():
            file.replace(kept.with_name(kept.name + companion))
    return kept


def damage(database: Path) -> str | None:
    """What SQLite finds wrong with a database, in one line; None if it is sound or not there."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:  # in use, or a disk that fails: not the file's fault
        return None
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else one_line(found)


def set_aside_if_damaged(database: Path) -> None:
    """Make place for a new database, which every search fills from its ledger when it goes on."""
    if damage(database) is None:
        return
    with exclusively(database):
        reason = damage(database)
        if reason is None:  # another has just made a new one
            return
        kept = set_aside_whole(database)
    log.warning(
        "%s: damaged (%s); it is now %s. `longspan resume NAME` writes each search into a new one",
        database,
        reason,
        kept.name,
    )


def follow(database: Path, root: str) -> None:
    """Let every artifact location in a database, if it is there, begin with ``root``.

    A search on one machine writes them by their path, the server of a cluster by its own address.
    """
    if not database.exists():
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not tables.issuperset(table for table, _ in _COLUMNS):
            return  # MLflow was cut off while it made them, and makes them again
        locations = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        found = {match[1] for (place,) in locations if (match := _ROOT.fullmatch(place or ""))}
        for there in found - {root}:
            for table, column in _COLUMNS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (root, len(there) + 1, there, len(there) + 1, f"{there}/"),
                )
            bare = "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?"
            connection.execute(bare, (f"{SERVED}/", SERVED))
