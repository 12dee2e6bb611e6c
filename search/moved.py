"""A runs folder that was moved or copied: MLflow's own database holds absolute paths."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def follow(database: Path, artifacts: Path) -> None:
    """Let every artifact location in a database beside ``artifacts`` lead there."""
    if not database.exists():
        return
    here = artifacts.as_uri()
    with closing(sqlite3.connect(database)) as connection, connection:
        query = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE ?"
        for (there,) in connection.execute(query, (f"file://%/{artifacts.name}",)).fetchall():
            if there == here:
                continue
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR {column} LIKE ?",
                    (here, len(there) + 1, there, f"{there}/%"),
                )
