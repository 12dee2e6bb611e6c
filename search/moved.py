"""A runs folder that came from elsewhere: MLflow's database says where artifacts lie.

A search on one machine writes them by their path, the server of a cluster by its own address.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

FOLDER = "mlartifacts"
"""Beside the database."""

SERVED = "mlflow-artifacts:"
"""How whoever asks the server over a runs folder names the artifacts there."""

_ROOT = re.compile(rf"({SERVED}|file://.*/{FOLDER})(?:/\d*)?")
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def follow(database: Path, root: str) -> None:
    """Let every artifact location in a database, if it is there, begin with ``root``."""
    if not database.exists():
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        locations = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        found = {match[1] for (place,) in locations if (match := _ROOT.fullmatch(place or ""))}
        for there in found - {root}:
            for table, column in _COLUMNS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR {column} LIKE ?",
                    (root, len(there) + 1, there, f"{there}/%"),
                )
            bare = "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?"
            connection.execute(bare, (f"{SERVED}/", SERVED))
