"""MLflow's database beside the searches is made whole or not at all.

MLflow makes its tables and then migrates them, step by step: cut off in between, or done by two at
once, that leaves a file that none can use. So it is made aside, under a lock, and moved into place.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from search.disk.mlflow_database import (
    SCHEMA,
    damage,
    exclusively,
    remove_stray_folders,
    set_aside_whole,
    uri_of,
)
from trainables.files.cache import cache_folder
from trainables.files.whole_files import aside_of, sync_folder
from trainables.messages import one_line

log = logging.getLogger(__name__)


def make_whole(database: Path) -> None:
    """Have a database with the tables of the MLflow that is installed; nothing, where it is that.

    One by an earlier MLflow, or half made, is brought to its end in a copy; where that fails it is
    set aside like a damaged one.

    Raises:
        UserError: if another process makes it, and does not come to an end.
    """
    if _is_current(database):
        return
    with exclusively(database):
        if _is_current(database):
            return
        for left in database.parent.glob(f".{database.name}.*"):
            if ".new" in left.name:
                left.unlink()
        try:
            _move_in(_made(database), database)
        except Exception as error:  # of SQLite, SQLAlchemy, Alembic or MLflow, on what it found
            if not database.exists():
                raise
            kept = set_aside_whole(database)
            log.warning(
                "%s: of no version of MLflow that is known here (%s); it is now %s. `longspan "
                "resume NAME` writes each search into a new one",
                database, one_line(error, 200), kept.name,
            )  # fmt: skip
            _move_in(_made(database), database)


def _made(database: Path) -> Path:
    """A whole one aside: what there is, brought up to date, or an empty one."""
    aside = aside_of(database)
    if not database.exists() and _copied(aside):
        return aside
    from mlflow.db import upgrade

    if database.exists():
        with (
            closing(sqlite3.connect(database)) as there,
            closing(sqlite3.connect(aside)) as copy,
        ):
            there.backup(copy)
    try:
        upgrade.main([uri_of(aside)], standalone_mode=False)
        if not _is_current(aside):
            raise ValueError("its tables cannot be brought up to date")
        if not database.exists():
            _keep(aside)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    finally:
        remove_stray_folders(aside)
    return aside


def _copied(aside: Path) -> bool:
    """Whether an empty one that was made before, on this machine by this MLflow, is there now."""
    with suppress(OSError):
        shutil.copyfile(_kept(), aside)
        if damage(aside) is None and _is_current(aside):
            return True
    aside.unlink(missing_ok=True)
    return False


def _keep(made: Path) -> None:
    """Keep an empty one: all its migrations take seconds, and as long at every first search."""
    with suppress(OSError):
        kept = _kept()
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = aside_of(kept)
        shutil.copyfile(made, beside)
        beside.replace(kept)


def _kept() -> Path:
    return cache_folder("mlflow") / f"{version('mlflow')}.db"


def _move_in(aside: Path, database: Path) -> None:
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(database)
    sync_folder(database.parent)


def _is_current(database: Path) -> bool:
    """Whether its tables are those of the MLflow that is installed."""
    found = _version(database)
    return found is not None and (found == SCHEMA or found == _head())


def _version(database: Path) -> str | None:
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.DatabaseError:
        return None
    return str(found[0][0]) if len(found) == 1 else None


def _head() -> str | None:
    """The newest version of the tables that the MLflow here knows."""
    import mlflow.store
    from alembic.script import ScriptDirectory

    migrations = Path(mlflow.store.__file__).parent / "db_migrations"
    return ScriptDirectory(str(migrations)).get_current_head()
