"""A search that had ended goes on: more trials, a longer ladder, a new cell, another folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import optuna
import pytest
from mlflow.tracking import MlflowClient
from ray.tune.search import Searcher

from search import spec as specs
from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.samplers import make_sampler
from search.proposing.searcher import StudySearch
from search.proposing.study import open_study, restore_study
from search.recording.tracker import SEARCH_ENDED_BY
from search.spec import Spec
from search.spec.extension import extended
from tests.search.conftest import first, in_process, longspan, write_spec
from tests.search.test_damage import result
from tests.search.test_search import assert_stores_agree, first_rows, rows
from tests.trainables.training.stand_ins import trial_config
from trainables.measure.report import Report

SPEC = Spec.model_validate(
    {
        "name": "s",
        "space": "quick",
        "tasks": [{"kind": "recall"}],
        "ladder": {"start": 4, "stop": 8},
        "search": {"trials": 5},
    }
)


def test_a_search_can_only_grow() -> None:
    assert extended(SPEC, 7, 32).search.trials == 7
    assert extended(SPEC, 7, 32).ladder.rungs == (4, 8, 16, 32)
    assert extended(SPEC) == SPEC
    with pytest.raises(UserError, match="--trials: 4 is not allowed; s has 5"):
        extended(SPEC, trials=4)
    with pytest.raises(UserError, match="--stop: 7 is not allowed; the ladder ends at 8"):
        extended(SPEC, stop=7)


def test_every_rung_that_was_climbed_stays_one() -> None:
    odd = SPEC.model_copy(update={"ladder": SPEC.ladder.model_copy(update={"stop": 10})})
    with pytest.raises(UserError, match="--stop: 32 is not allowed; the last rung, 10"):
        extended(odd, stop=32)


def space(trial: optuna.Trial) -> None:
    trial.suggest_categorical("model/cell/kind", ["rnn", "lstm"])
    trial.suggest_float("training/learning_rate", 1e-4, 1e-2, log=True)


def wider(trial: optuna.Trial) -> None:
    trial.suggest_categorical("model/cell/kind", ["rnn", "lstm", "gru"])
    trial.suggest_float("training/learning_rate", 1e-5, 1e-2, log=True)


def narrower(trial: optuna.Trial) -> None:
    trial.suggest_categorical("model/cell/kind", ["lstm", "gru"])
    trial.suggest_float("training/learning_rate", 1e-4, 1e-2, log=True)


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "s")
    folder.create(SPEC.to_yaml())
    return folder


@pytest.mark.parametrize("then", [wider, narrower])
def test_a_space_may_gain_and_lose_choices(folder: SearchFolder, then: object) -> None:
    """Optuna refuses it within a study; the study is written anew from the ledger."""
    kinds: set[str] = set()
    for chosen, trials in ((space, 12), (then, 40)):
        ledger = Ledger(folder)
        study = restore_study(folder.journal, "s", chosen, ledger)  # type: ignore[arg-type]
        search = StudySearch(
            chosen,  # type: ignore[arg-type]
            study,
            ledger,
            lambda n: make_sampler("tpe", 7, n),
            trials,
        )
        while (proposed := search.suggest("t")) != Searcher.FINISHED:
            kinds.add(proposed["configuration"]["model"]["cell"]["kind"])
            search.on_trial_complete("t", result(proposed["number"]))
    assert kinds == {"rnn", "lstm", "gru"}
    trials_there = open_study(folder.journal, "s").get_trials()
    assert [t.number for t in trials_there] == list(range(40))
    choices = {
        t.distributions["model/cell/kind"].choices  # type: ignore[attr-defined]
        for t in trials_there
        if "model/cell/kind" in t.params
    }
    assert len(choices) == 1
    assert "gru" in next(iter(choices))


def test_only_trials_that_ended_at_the_top_are_reopened(folder: SearchFolder) -> None:
    ledger = Ledger(folder)
    for number, ended_by in enumerate(["top", "failed_rung", "pruned"]):
        ledger.started(number, {}, trial_config().model_dump(mode="json"), "d")
        report = json.loads(str(result(number, ended_by)["report"]))
        ledger.reported(number, Report.from_json(report))
        ledger.finished(number, ended_by)
    ledger.reopen(SPEC.ladder.stop)
    assert all(record.finished for record in ledger.records.values())
    ledger.reopen(16)
    assert [record.finished for record in ledger.records.values()] == [False, True, True]
    assert Ledger(folder).records == ledger.records


@pytest.mark.slow
def test_a_search_cut_by_its_budget_and_copied_goes_on_as_if_it_had_been_longer_from_the_start(
    small_search: Path, tmp_path: Path
) -> None:
    """By the command: up to lag 8 within a budget, the folder moved away, then more of all three.

    6 trials become 8, and climb to lag 16.
    """
    there, second = tmp_path / "there", tmp_path / "second"
    there.mkdir()
    cut_by_its_budget(small_search, there)
    shutil.copytree(there, second)
    shutil.rmtree(there)
    options = ("--trials", "8", "--stop", "16", "--gflop", "1e9")
    done = longspan("resume", "small", *options, "--runs", str(second))
    assert done.returncode == 0, done.stderr
    assert rows(second, "small") == first_rows(small_search, 8)
    assert outcomes_of(second) == outcomes_of(small_search)[:8]
    assert_stores_agree(second, "small", 8)
    folder = SearchFolder(second, "small")
    assert specs.read(folder.spec).ladder.stop == 16
    assert folder.ended_early is None
    assert search_ended_by(folder) == "trials"
    assert not there.exists()


def cut_by_its_budget(small_search: Path, runs: Path) -> None:
    """The first 6 trials up to lag 8, of which the budget is enough for some."""
    records = Ledger(SearchFolder(small_search, "small")).records
    spent = [sum(r.training_gflop for r in records[n].rows if r.lag <= 8) for n in range(6)]
    some = (sum(spent[:2]) + sum(spent)) / 2
    text = first(6).replace("stop: 16", "stop: 8").replace("trials: 6", f"trials: 6, gflop: {some}")
    done = longspan("search", str(write_spec(runs, text)), "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    assert "search.gflop" in done.stdout
    assert "longspan resume small" in done.stdout
    folder = SearchFolder(runs, "small")
    assert Ledger(folder).ended < 6
    assert "top" in outcomes_of(runs)
    status = in_process("status", "small", "--runs", str(runs)).stdout
    assert "the search ended before all of its trials had" in " ".join(status.split())
    assert search_ended_by(folder).startswith("search.gflop")


def search_ended_by(folder: SearchFolder) -> str:
    """What MLflow says of it; its run has ended."""
    client = MlflowClient(f"sqlite:///{folder.runs}/mlflow.db")
    experiment = client.get_experiment_by_name("longspan")
    assert experiment is not None
    tags = f"tags.`{SEARCH_ENDED_BY}` != ''"
    (parent,) = client.search_runs([experiment.experiment_id], tags)
    assert parent.info.status == "FINISHED"
    return str(parent.data.tags[SEARCH_ENDED_BY])


def outcomes_of(runs: Path) -> list[str | None]:
    records = Ledger(SearchFolder(runs, "small")).records
    assert outcomes.read(SearchFolder(runs, "small").outcomes).num_rows > 0
    return [records[number].ended_by for number in sorted(records)]
