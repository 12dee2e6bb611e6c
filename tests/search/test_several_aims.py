"""Several aims steer what is proposed: the sampler is told of them all, and what counts in none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.bounded_study import MISSING
from search.proposing.samplers import make_sampler, require_taken
from search.proposing.searcher import StudySearch
from search.proposing.study import open_study, restore_study
from search.spec import take
from trainables.measure.records import MemberRung

ALONE, BOTH = ["progress"], ["progress", "parameters"]
TRIALS, LATE, LEAST = 36, 18, 16


def wasteful(trial: optuna.Trial) -> dict[str, Any]:
    """Width helps and costs; depth costs."""
    trial.suggest_int("model/hidden_size", 4, 64)
    trial.suggest_int("model/depth", 1, 8)
    return {"model/cell/kind": "gru"}


def searcher(folder: SearchFolder, sampler: str, objectives: list[str]) -> StudySearch:
    ledger = Ledger(folder)
    study = restore_study(folder.journal, "s", wasteful, ledger, objectives=objectives)
    return StudySearch(
        wasteful, study, ledger, lambda n: make_sampler(sampler, 7, n), TRIALS,
        objectives=objectives,
    )  # fmt: skip


def result(model: dict[str, Any]) -> dict[str, Any]:
    """What a trial of the space comes to: too narrow a model passes nothing."""
    width, passes = model["hidden_size"], model["hidden_size"] >= LEAST
    row = MemberRung(
        "recall", 8, 0, "solved" if passes else "budget", parameters=width * model["depth"]
    )
    report = {
        "progress": 3 + width / 64 if passes else 2.0,
        "reach": 8 if passes else 0,
        "reaches": {"recall": 8 if passes else 0},
        "ended_by": "failed_rung",
        "rows": [row.to_json()],
    }
    return {"progress": report["progress"], "report": json.dumps(report)}


def depths(folder: SearchFolder, sampler: str, objectives: list[str]) -> list[int]:
    """Of the proposals of a search, one driver after another, by number."""
    folder.create("")
    found = []
    for number in range(TRIALS):
        if number % 20 == 0:
            search = searcher(folder, sampler, objectives)
        model = search.suggest(f"t{number}")["configuration"]["model"]
        found.append(model["depth"])
        search.on_trial_complete(f"t{number}", result(model))
    return found


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_the_sampler_aims_at_them_all(sampler: str, tmp_path: Path) -> None:
    """What costs and does not help is left out; by progress alone nothing is known of it."""
    both = depths(SearchFolder(tmp_path, "both"), sampler, BOTH)
    alone = depths(SearchFolder(tmp_path, "alone"), sampler, ALONE)
    assert np.mean(both[-LATE:]) < np.mean(alone[-LATE:]) - 1


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_what_the_study_is_told(sampler: str, tmp_path: Path) -> None:
    """Directions, names and values; whoever passed nothing is small in vain. A resume keeps it."""
    folder = SearchFolder(tmp_path, "s")
    depths(folder, sampler, BOTH)
    study = open_study(folder.journal, "s")
    assert study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    assert study.metric_names == BOTH
    trials = study.get_trials()
    narrow = [trial for trial in trials if trial.params["model/hidden_size"] < LEAST]
    wide = [trial for trial in trials if trial not in narrow]
    assert narrow
    for trial in wide:
        assert trial.values[1] == trial.params["model/hidden_size"] * trial.params["model/depth"]
        assert trial.constraints == {MISSING: 0}
    assert [trial.constraints for trial in narrow] == [{MISSING: pytest.approx(1 / 3)}] * len(
        narrow
    )
    assert not {trial.number for trial in narrow} & {trial.number for trial in study.best_trials}
    restore_study(folder.journal, "s", wasteful, Ledger(folder), objectives=BOTH)
    again = open_study(folder.journal, "s").get_trials()
    assert [(t.values, t.constraints) for t in again] == [(t.values, t.constraints) for t in trials]


def test_one_aim_is_told_as_before(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path, "s")
    depths(folder, "random", ALONE)
    study = open_study(folder.journal, "s")
    assert study.direction == StudyDirection.MAXIMIZE
    assert not any(trial.constraints for trial in study.get_trials())


def test_a_failed_trial_has_no_value_in_any(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path, "s")
    folder.create("")
    search = searcher(folder, "tpe", BOTH)
    search.suggest("a")
    search.end("a", "error", "it was not to be")
    (trial,) = open_study(folder.journal, "s").get_trials()
    assert (trial.state, trial.values) == (TrialState.FAIL, None)


def test_a_sampler_of_one_aim_is_refused(tmp_path: Path) -> None:
    content = {"name": "s", "space": "quick", "tasks": ["recall"]}
    spec = take(content | {"search": {"sampler": "cmaes", "objectives": BOTH}})
    with pytest.raises(UserError, match=r"search\.sampler: cmaes takes one objective; allowed"):
        require_taken(spec, wasteful)
