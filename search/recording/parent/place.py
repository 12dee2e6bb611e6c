"""Where a search is recorded, known before MLflow is imported, which takes seconds."""

from __future__ import annotations

import os
from pathlib import Path

from search.cluster.head_node import on_cluster, tracking_environment
from search.disk import mlflow_database as database
from search.disk.folder import SearchFolder
from search.spec import Spec


def tracking_uri(spec: Spec, folder: SearchFolder) -> str:
    """The spec's, or the environment's, or SQLite beside the searches; a cluster's is its head's.

    On a cluster, the environment is told what the head's server asks for.
    """
    if on_cluster() and spec.tracking.uri is None:
        os.environ.update(tracking_environment())
    return database.tracking_uri(spec.tracking.uri, folder.runs)


def own_database(folder: SearchFolder) -> Path:
    """The file of MLflow's database beside the searches."""
    return folder.runs / database.FILE


def own_uri(folder: SearchFolder) -> str:
    """SQLite beside the searches."""
    return database.uri_of(own_database(folder))


def replace_damaged(spec: Spec, folder: SearchFolder) -> None:
    """Set a damaged database of one's own aside; before MLflow opens it, and keeps it open."""
    if tracking_uri(spec, folder) == own_uri(folder):
        database.set_aside_if_damaged(own_database(folder))
