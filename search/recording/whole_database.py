"""MLflow's database beside the searches is made whole or not at all.

MLflow makes its tables and then migrates them, step by step: cut off in between, or done by two at
once, that leaves a file that none can use. So it is made aside, under a lock, and moved into place.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import sqlite3
import time
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from search.disk.mlflow_database import (
    SCHEMA,
    SECONDS_TO_WAIT,
    exclusively,
    remove_stray_folders,
    set_aside_whole,
    uri_of,
)
from search.errors import UserError
from trainables.files.bounded import read_bounded
from trainables.files.cache import cache_folder
from trainables.files.whole_files import (
    ASIDE,
    aside_of,
    remove_left_over,
    sync_folder,
    write_aside,
)
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
            if ASIDE in left.name and left.is_file():
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
    """Whether an empty one that was made before, on this machine by this MLflow, is there now.

    It is taken as it was kept, and from nobody but this user or root.
    """
    with suppress(OSError, ValueError):
        kept = _kept()
        found = kept.lstat()
        if found.st_uid not in (os.getuid(), 0) or found.st_mode & 0o022:
            return False
        known, content = _parted(read_bounded(kept, MOST_BYTES))
        if _sum(content) == known:
            aside.write_bytes(content)
            return True
    aside.unlink(missing_ok=True)
    return False


def _keep(made: Path) -> None:
    """Keep an empty one: all its migrations take seconds, and as long at every first search."""
    with suppress(OSError):
        kept = _kept()
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_left_over(kept.parent)
        content = made.read_bytes()
        write_aside(kept, _sum(content), content, mode=0o600)


def _kept() -> Path:
    """Its SHA-256, then the database; so it is not called one."""
    return cache_folder("mlflow") / f"{version('mlflow')}.kept"


MOST_BYTES = 2**26
"""Of what is kept: an empty database has 1 MB."""


def _parted(kept: bytes) -> tuple[bytes, bytes]:
    return kept[:64], kept[64:]


def _sum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


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
        found = _asked(database, "SELECT version_num FROM alembic_version")
    except sqlite3.DatabaseError:
        return None
    return str(found[0][0]) if len(found) == 1 else None


def _asked(database: Path, query: str) -> list[Any]:
    """A query's rows; another process that writes, or was stopped while it did, is waited for.

    To set aside or replace a database that is in use would lose what is written to it.

    Raises:
        UserError: if it does not come to an end.
    """
    for waited in range(math.ceil(SECONDS_TO_WAIT)):
        try:
            with closing(sqlite3.connect(database, timeout=0)) as connection:
                return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
        if waited == SECONDS_UNSAID:
            log.warning("%s: another process writes to it, and is waited for", database)
        time.sleep(1)
    raise UserError(f"{database}: another process has held it for {SECONDS_TO_WAIT:.0f} s")


SECONDS_UNSAID = 5
"""Of waiting, before a line says so."""


def _head() -> str | None:
    """The newest version of the tables that the MLflow here knows."""
    import mlflow.store
    from alembic.script import ScriptDirectory

    migrations = Path(mlflow.store.__file__).parent / "db_migrations"
    return ScriptDirectory(str(migrations)).get_current_head()
