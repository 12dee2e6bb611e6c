"""Budgets: a search ends when its hours or its GFLOP are used up, and can go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from ray.tune.search import Searcher

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.budget import Budget
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.recording.tracker import SEARCH_ENDED_BY
from search.spec import SearchConfig, take
from search.spec.extension import extended
from spaces import SPACES
from tests.search.conftest import first, in_process, longspan, write_spec
from tests.search.test_search import first_rows, rows
from trainables.measure.report import Report


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "study")
    folder.create("")
    return folder


def reported(gflop: float, ended_by: str | None) -> dict[str, object]:
    report = Report(progress=1.0, reach=2, training_gflop=gflop, ended_by=ended_by)
    return {"progress": 1.0, "report": json.dumps(report.to_json())}


def test_hours_count_from_the_start_of_a_run(folder: SearchFolder) -> None:
    now = [100.0]
    budget = Budget(SearchConfig(hours=2), Ledger(folder), lambda: now[0])
    now[0] += 7199
    assert not budget.stop_all()
    now[0] += 1
    assert budget.used_up == "search.hours: 2 are used up"
    assert not budget("a trial", {}), "no trial by itself"
    assert Budget(SearchConfig(), Ledger(folder)).used_up is None


def test_what_is_under_way_when_the_gflop_are_used_up_goes_on_later(folder: SearchFolder) -> None:
    """Nothing new is handed out; who had ended has ended, who had not is handed out again first."""

    def searcher(gflop: float) -> StudySearch:
        ledger = Ledger(folder)
        budget = Budget(SearchConfig(gflop=gflop), ledger)
        study = restore_study(folder.journal, "study", SPACES["quick"], ledger)
        return StudySearch(SPACES["quick"], study, ledger, lambda n: make_sampler("random", 7, n),
                           5, over=budget.stop_all)  # fmt: skip

    search = searcher(10)
    proposed = [search.suggest(name) for name in "abc"]
    search.on_trial_complete("a", reported(4, "failed_rung"))
    search.on_trial_result("b", reported(6, None))
    assert search.suggest("d") is None, "two are still under way"
    search.on_trial_complete("b", reported(6, None))
    search.on_trial_complete("c", reported(1, "failed_rung"))
    assert search.suggest("d") == Searcher.FINISHED
    ended = {number: record.ended_by for number, record in Ledger(folder).records.items()}
    assert ended == {0: "failed_rung", 1: None, 2: "failed_rung"}
    assert searcher(10).suggest("x") == Searcher.FINISHED
    assert searcher(20).suggest("x") == proposed[1]


def test_budgets_are_given_anew_when_a_search_goes_on() -> None:
    spec = take({"name": "s", "space": "quick", "tasks": [{"kind": "recall"}]})
    longer = extended(spec, hours=1.5, gflop=20)
    assert (longer.search.hours, longer.search.gflop) == (1.5, 20)
    assert extended(longer, trials=100).search.gflop == 20
    with pytest.raises(UserError, match=r"search\.hours"):
        take({"name": "s", "space": "quick", "tasks": [{"kind": "recall"}], "search": {"hours": 0}})


@pytest.mark.slow
def test_a_search_within_a_budget_goes_on_as_if_it_had_had_none(
    small_search: Path, tmp_path: Path
) -> None:
    """By the command: 6 trials, cut by their cost; then with enough for all."""
    records = Ledger(SearchFolder(small_search, "small")).records
    spent = [records[number].report.training_gflop for number in range(6)]
    some = (sum(spent[:2]) + sum(spent)) / 2
    spec = write_spec(tmp_path, first(6).replace("trials: 6", f"trials: 6, gflop: {some}"))
    at = ("--runs", str(tmp_path))
    done = longspan("search", str(spec), *at)
    assert done.returncode == 0, done.stderr
    assert "search.gflop" in done.stdout
    assert "longspan resume small" in done.stdout
    folder = SearchFolder(tmp_path, "small")
    assert Ledger(folder).ended < 6
    assert "the search ended before all of its trials had" in " ".join(
        in_process("status", "small", *at).stdout.split()
    )
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("longspan")
    assert experiment is not None
    tags = f"tags.`{SEARCH_ENDED_BY}` LIKE 'search.gflop%'"
    (parent,) = client.search_runs([experiment.experiment_id], tags)
    assert parent.info.status == "FINISHED"
    done = longspan("resume", "small", "--gflop", "1e9", *at)
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path, "small") == first_rows(small_search, 6)
    assert folder.ended_early is None
    assert client.get_run(parent.info.run_id).data.tags[SEARCH_ENDED_BY] == "trials"
