"""Certificates on their way to MLflow: sent by whoever holds the search, who alone writes there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

from search.certify import _send
from search.disk.folder import SearchFolder
from search.disk.record import Record
from search.recording.recorder import Recorder
from search.recording.tracker import Tracker
from tests.search.certifying.test_store import decided
from tests.search.test_recording import SPEC, children, folder, record

__all__ = ["folder", "record"]  # fixtures


@contextmanager
def held_by_another(folder: SearchFolder) -> Iterator[None]:
    """As a search that another process is running."""
    command = ["flock", str(folder.path / "lock"), "sh", "-c", "echo held; cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        assert holder.stdin is not None
        holder.stdin.close()


def parent(folder: SearchFolder) -> Any:
    client = MlflowClient(f"sqlite:///{folder.runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("longspan")
    assert experiment is not None
    query = "tags.`longspan.search` LIKE '%'"
    found = client.search_runs([experiment.experiment_id], query)
    (run,) = [run for run in found if "longspan.trial" not in run.data.tags]
    return run


def certified(folder: SearchFolder) -> str | None:
    _, (run,) = children(folder)
    word: str | None = run.data.tags.get("certified")
    return word


def test_a_running_search_is_not_written_to_by_another(
    folder: SearchFolder, record: Record
) -> None:
    """Its parent run stays RUNNING; the user is told who sends the certificates, and it does."""
    running = Tracker(SPEC, folder)
    running.send(record)
    before = parent(folder)
    decided(folder.path)
    with held_by_another(folder):
        told = _send(SPEC, folder)
    assert told is not None
    assert "'s' is being searched: MLflow gets the certificates when that ends" in told
    assert (parent(folder).info.status, parent(folder).data.tags) == ("RUNNING", before.data.tags)
    assert certified(folder) is None
    running.end([record], finished=True)
    assert str(certified(folder)).startswith("lag 8 ")


def test_the_parent_of_a_search_that_was_stopped_is_neither_reopened_nor_ended(
    folder: SearchFolder, record: Record
) -> None:
    recorder = Recorder(SPEC, folder)
    recorder.start([record])
    assert recorder.close([record], finished=True) is None
    before = parent(folder)
    decided(folder.path)
    assert _send(SPEC, folder) is None
    after = parent(folder)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.info.end_time)
    assert after.data.metrics == before.data.metrics
    assert str(certified(folder)).startswith("lag 8 ")
    assert _send(SPEC, folder) is None, "sent again, nothing doubles"
    client, (run,) = children(folder)
    assert len(client.get_metric_history(run.info.run_id, "certified_lag")) == 1


def test_a_trial_that_mlflow_was_never_told_of_is_named(folder: SearchFolder) -> None:
    decided(folder.path)
    told = _send(SPEC, folder)
    assert told is not None
    assert "does not know trial 0" in told
    assert "`longspan resume s --runs" in told
    assert not (Path(folder.path) / "mlflow.db").exists()
