"""The main job by the real command: every store agrees, whatever cut the search off."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from search import run
from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.proposing.study import open_study
from tests.search.conftest import COMMAND, first, in_process, longspan, write_spec
from tests.waiting import HANGS

TIMES = ("seconds", "peak_memory_bytes")
CUT = 6
"""Trials of the search that is cut off."""


def rows(runs: Path, name: str) -> list[dict[str, Any]]:
    """The outcomes of a search without its times."""
    table = outcomes.read(SearchFolder(runs, name).outcomes)
    return [{k: v for k, v in row.items() if k not in TIMES} for row in table.to_pylist()]


def first_rows(runs: Path, trials: int) -> list[dict[str, Any]]:
    """Those of the first trials of the small search."""
    return [row for row in rows(runs, "small") if row["trial"] < trials]


def assert_stores_agree(runs: Path, name: str, trials: int) -> None:
    """Each trial once and ended, in the ledger, Optuna, MLflow and Parquet alike."""
    folder = SearchFolder(runs, name)
    numbers = list(range(trials))
    records = Ledger(folder).records
    assert sorted(records) == numbers
    assert all(record.finished for record in records.values())

    study = open_study(folder.journal, name)
    states = {t.number: t.state for t in study.get_trials(deepcopy=False)}
    assert states == dict.fromkeys(numbers, TrialState.COMPLETE)
    assert [t.value for t in study.get_trials()] == [records[n].progress for n in numbers]

    client = MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("longspan")
    assert experiment is not None
    query = f"tags.`longspan.search` = '{folder.identity}'"
    runs_there = client.search_runs([experiment.experiment_id], query, max_results=1000)
    (parent,) = (r for r in runs_there if "longspan.trial" not in r.data.tags)
    children = [r for r in runs_there if "longspan.trial" in r.data.tags]
    assert parent.info.status == "FINISHED"
    assert sorted(int(r.data.tags["longspan.trial"]) for r in children) == numbers
    for child in children:
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.info.status == "FINISHED"
        for metric in ("by_lag/solved_fraction", "by_lag/success"):
            history = client.get_metric_history(child.info.run_id, metric)
            lags = [point.step for point in history]
            assert lags
            assert len(lags) == len(set(lags)), f"{metric} was sent twice"

    table = outcomes.read(folder.outcomes)
    keys = list(zip(*(table[key].to_pylist() for key in outcomes.KEY), strict=True))
    assert len(keys) == len(set(keys))
    assert sorted({key[0] for key in keys}) == numbers


def test_every_store_holds_every_trial_once(small_search: Path) -> None:
    assert_stores_agree(small_search, "small", 14)


def test_actors_are_reused(small_search: Path) -> None:
    """At most one actor start a slot in 14 short trials."""
    records = Ledger(SearchFolder(small_search, "small")).records.values()
    workers = {record.report.worker for record in records}
    assert len(workers) <= (os.cpu_count() or 1)


def test_a_taken_name_is_refused(small_search: Path, tmp_path: Path) -> None:
    refused = in_process("search", str(write_spec(tmp_path)), "--runs", str(small_search))
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "small" in refused.stderr
    assert "longspan resume small" in refused.stderr


def test_resuming_a_finished_search_changes_nothing(
    small_search: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is Ray started for it."""
    monkeypatch.setattr(run, "ray_for", lambda *_: pytest.fail("Ray is started"))
    before = rows(small_search, "small")
    done = in_process("resume", "small", "--runs", str(small_search))
    assert done.returncode == 0, done.stderr
    assert rows(small_search, "small") == before
    assert_stores_agree(small_search, "small", 14)


def test_cut_off_and_resumed(small_search: Path, tmp_path: Path) -> None:
    """Ctrl-C in the middle, then resume: nothing is lost or counted twice.

    With the same seed and a random sampler the rows are the other search's. `test_chaos` has
    ``kill -9``.
    """
    spec = write_spec(tmp_path, first(CUT))
    cut_off_in_the_middle(spec, tmp_path, after=1)
    done = longspan("resume", "small", "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr + done.stdout
    assert_stores_agree(tmp_path, "small", CUT)
    assert rows(tmp_path, "small") == first_rows(small_search, CUT)


def cut_off_in_the_middle(spec: Path, runs: Path, after: int) -> None:
    """Start a search and interrupt it as Ctrl-C does once ``after`` trials have ended."""
    driver = subprocess.Popen(
        [str(COMMAND), "search", str(spec), "--runs", str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    folder = SearchFolder(runs, "small")
    deadline = time.monotonic() + HANGS
    while ended(folder) < after:
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    driver.send_signal(signal.SIGINT)
    output, errors = driver.communicate(timeout=HANGS)
    assert ended(folder) < CUT, "the blow came too late to test anything"
    assert driver.returncode == 130, errors
    assert "longspan resume small" in output


def ended(folder: SearchFolder) -> int:
    """Trials that have come to an end."""
    return sum(record.finished for record in Ledger(folder).records.values())
