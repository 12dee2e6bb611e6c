"""Budgets: a search ends when its hours or its GFLOP are used up, and can go on.

By the command: in `test_extension`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ray.tune.search import Searcher

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.budget import Budget
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.spec import SearchConfig, take
from search.spec.extension import extended
from spaces import SPACES
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
