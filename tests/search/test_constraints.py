"""Constraints: what they count, that what breaks them costs nothing, and that TPE learns them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.checking.preflight import check
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.constraints import EXCESS, Constraints, refuse
from search.proposing.samplers import make_sampler
from search.proposing.searcher import MOST_REFUSED, StudySearch
from search.proposing.study import open_study, restore_study
from search.scheduling.scheduler import typical_cost
from search.spec import Spec
from spaces import SPACES
from tests.search.test_searcher import result
from trainables.config import TrialConfig
from trainables.models.model import build
from trainables.tasks.copying import Copying
from trainables.tasks.recall import Recall

LSTM = TrialConfig.model_validate({"model": {"cell": "lstm", "hidden_size": 24}})
ATTENDING = TrialConfig.model_validate({"model": {"cell": "transformer", "hidden_size": 24}})
TOP = 64


def spec(tasks: tuple[str, ...] = ("recall",), space: str = "quick", **limits: float) -> Spec:
    return Spec.model_validate(
        {
            "name": "study",
            "space": space,
            "tasks": list(tasks),
            "ladder": {"start": 16, "stop": TOP},
            "constraints": limits,
        }
    )


def small(config: TrialConfig) -> Mapping[str, float]:
    """As if every hidden size above 16 broke a constraint."""
    over = config.model.hidden_size / 16 - 1
    return {"max_parameters": over} if over > 0 else {}


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "study")
    folder.create("")
    return folder


def searcher(
    folder: SearchFolder,
    trials: int,
    sampler: str = "random",
    exceeded: Callable[[TrialConfig], Mapping[str, float]] = small,
) -> StudySearch:
    """As after the driver started anew."""
    ledger = Ledger(folder)
    study = restore_study(folder.journal, "study", SPACES["quick"], ledger)
    return StudySearch(
        SPACES["quick"],
        study,
        ledger,
        lambda number: make_sampler(sampler, 7, number),
        trials,
        exceeded=exceeded,
    )


# What is counted


@pytest.mark.parametrize("config", [LSTM, ATTENDING])
def test_sizes_are_those_of_the_model_at_the_top(config: TrialConfig) -> None:
    task = Recall(Recall.Config())
    model, length = build(config.model, task, seed=0), task.length(TOP)
    sizes = Constraints(spec(max_parameters=1, max_state_bytes=1, max_flops_per_step=1)).sizes(
        config
    )
    assert sizes == {
        "max_parameters": sum(p.numel() for p in model.parameters()),
        "max_state_bytes": model.state_bytes(length),
        "max_flops_per_step": pytest.approx(model.flops(length, 1) / length),
    }


@pytest.mark.parametrize("key", ["max_parameters", "max_state_bytes", "max_flops_per_step"])
def test_a_limit_holds_to_the_last_unit(key: str) -> None:
    (size,) = Constraints(spec(**{key: 1})).sizes(ATTENDING).values()
    assert Constraints(spec(**{key: size})).exceeded(ATTENDING) == {}
    over = Constraints(spec(**{key: int(size) - 1})).exceeded(ATTENDING)
    assert over == {key: pytest.approx(size / (int(size) - 1) - 1)}


def test_of_several_tasks_the_largest_model_counts() -> None:
    sizes = [
        Constraints(spec(tasks, max_parameters=1, max_flops_per_step=1)).sizes(ATTENDING)
        for tasks in (("recall",), ("copying",), ("recall", "copying"))
    ]
    assert sizes[0] != sizes[1]
    assert sizes[2] == {key: max(sizes[0][key], sizes[1][key]) for key in sizes[0]}


def test_every_answer_counts() -> None:
    """Copying asks for ten symbols; a read-out by attention works for each of them."""
    config = TrialConfig.model_validate(
        {"model": {"cell": "rnn", "hidden_size": 24, "readout": "attention"}}
    )
    task = Copying(Copying.Config())
    length = task.length(TOP)
    answers = task.sample(TOP, 1, torch.Generator()).scored.shape[1]
    model = build(config.model, task, seed=0)
    (size,) = Constraints(spec(("copying",), max_flops_per_step=1)).sizes(config).values()
    assert answers > 1
    assert size == pytest.approx(model.flops(length, answers) / length)


# What becomes of a proposal


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_breaks_a_constraint_is_no_trial(folder: SearchFolder, sampler: str) -> None:
    """Eight trials are handed out, small ones all; the others stay in the study alone."""
    search = searcher(folder, 8, sampler)
    numbers = []
    for count in range(8):
        assert search.left == 8 - count
        proposed = search.suggest(f"t{count}")
        assert proposed is not None
        assert proposed["configuration"]["model"]["hidden_size"] == 16
        numbers.append(proposed["number"])
        search.on_trial_complete(f"t{count}", result(float(count)))
    assert search.suggest("more") == Searcher.FINISHED
    trials = open_study(folder.journal, "study").get_trials()
    refused = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert len(trials) == 8 + len(refused) > 8
    assert all(trial.params["model/hidden_size"] == 32 for trial in refused)
    assert all(trial.constraints == {EXCESS: 1.0} for trial in refused)
    assert sorted(Ledger(folder).records) == numbers
    kept = Ledger(folder).refused
    assert {number: (found.parameters, found.excess) for number, found in kept.items()} == {
        trial.number: (trial.params, 1.0) for trial in refused
    }


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_resumed_search_proposes_and_refuses_the_same(tmp_path: Path, sampler: str) -> None:
    whole, pieces = SearchFolder(tmp_path, "whole"), SearchFolder(tmp_path, "pieces")
    whole.create("")
    pieces.create("")
    one = searcher(whole, 14, sampler)
    for count in range(14):
        other = searcher(pieces, 14, sampler)
        assert one.suggest(f"t{count}") == other.suggest(f"t{count}")
        for search in (one, other):
            search.on_trial_complete(f"t{count}", result(float(count % 5)))
    refused = Ledger(whole).refused
    assert refused == Ledger(pieces).refused
    assert refused


def test_a_driver_that_dies_while_it_refuses(folder: SearchFolder) -> None:
    """Before the study was told, or while the line was written: the same trials come of it."""
    search = searcher(folder, 3)
    expected = [search.suggest(f"t{n}") for n in range(3)]
    lines = folder.refused.read_text()
    assert lines
    for left in (lines, lines[:-5], ""):
        again = SearchFolder(folder.runs, f"again-{len(left)}")
        again.create("")
        again.refused.write_text(left)
        search = searcher(again, 3)
        assert [search.suggest(f"t{n}") for n in range(3)] == expected


def test_what_was_accepted_stays_a_trial(folder: SearchFolder) -> None:
    """A trial that was cut off goes on, whatever the constraints say by now."""
    proposed = searcher(folder, 1, exceeded=lambda config: {}).suggest("a")
    again = searcher(folder, 1, exceeded=lambda config: {"max_parameters": 1.0})
    assert again.suggest("b") == proposed


def test_a_search_that_finds_nothing_small_enough_says_so(folder: SearchFolder) -> None:
    search = searcher(folder, 1, exceeded=lambda config: {"max_state_bytes": 1.0})
    with pytest.raises(UserError) as refusal:
        search.suggest("a")
    assert str(refusal.value) == (
        "constraints: 200 proposals in a row were refused, the last by max_state_bytes; loosen "
        "them or offer smaller choices, under a new name"
    )
    assert len(Ledger(folder).refused) == MOST_REFUSED


# Learning


def refused_share(tmp_path: Path, sampler: str, seed: int) -> float:
    """Of the proposals after the first 20, the share that a limit on parameters refuses.

    One proposal in eight keeps it; progress is the same for all, so it teaches nothing.
    """
    folder = SearchFolder(tmp_path, f"{sampler}-{seed}")
    folder.create("")
    ledger = Ledger(folder)
    study = restore_study(folder.journal, folder.name, SPACES["quick"], ledger)
    exceeded = Constraints(spec(max_parameters=3000)).exceeded
    search = StudySearch(
        SPACES["quick"],
        study,
        ledger,
        lambda number: make_sampler(sampler, seed, number),
        16,
        exceeded=exceeded,
    )
    for number in range(16):
        search.suggest(str(number))
        search.on_trial_complete(str(number), result(1.0))
    later = study.trials[20:]
    return sum(EXCESS in trial.constraints for trial in later) / len(later)


def test_tpe_learns_what_is_refused(tmp_path: Path) -> None:
    random = [refused_share(tmp_path, "random", seed) for seed in range(3)]
    learned = [refused_share(tmp_path, "tpe", seed) for seed in range(3)]
    assert max(learned) < min(random) - 0.2


def test_tpe_learns_how_far_off_a_proposal_was() -> None:
    """Where nothing is accepted yet, it moves towards what exceeds the least."""
    last = []
    for seed in range(3):
        study = optuna.create_study(direction="maximize")
        for number in range(60):
            study.sampler = make_sampler("tpe", seed, number)
            trial = study.ask()
            refuse(study, trial, float(trial.suggest_int("width", 1, 1000)))
        last += [trial.params["width"] for trial in study.trials[-20:]]
    assert sorted(last)[len(last) // 2] < 200  # the median; 500 where nothing is learned


# Before a search


def test_constraints_that_nothing_keeps_are_refused() -> None:
    with pytest.raises(UserError) as refusal:
        check(spec(max_parameters=100, max_state_bytes=10**9))
    assert str(refusal.value) == (
        "constraints.max_parameters: 100 leaves nothing of 'quick': of 200 random proposals 0 keep "
        "it and none keeps them all; the smallest seen is 1,224"
    )


def test_the_first_comparison_is_at_the_cost_of_what_may_be_proposed() -> None:
    """Large models that are refused do not put off the moment at which trials are compared."""
    free, tight = (spec(space="quick", **k) for k in ({}, {"max_parameters": 1500}))
    assert typical_cost(tight, SPACES["quick"]) < typical_cost(free, SPACES["quick"]) / 2
