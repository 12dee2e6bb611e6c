"""The scheduler: costs of a space, and what a resumed search knows of earlier trials."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from search.disk.record import Record
from search.proposing.draws import nested
from search.scheduling.scheduler import COST, make_scheduler, typical_cost
from search.spec import Spec
from spaces import SPACES
from trainables.measure.records import cost_and_progress


def spec(**search: Any) -> Spec:
    return Spec.model_validate(
        {
            "name": "s",
            "space": "quick",
            "tasks": [{"kind": "recall"}],
            "ladder": {"start": 8, "stop": 32, "members": 2, "quorum": 2, "sequences": 1000},
            "search": search,
        }
    )


def finished(number: int, solved: list[tuple[int, bool]], cost: float) -> Record:
    """A trial whose members, in order, solved the lags or not, at ``cost`` GFLOP each."""
    rows = [
        {
            "task": "recall", "lag": lag, "member": i % 2, "solved": ok, "looks": 1,
            "ended_by": "solved" if ok else "budget", "success_rate": 0.9 if ok else 0.45,
            "lower_bound": 0.9, "test_sequences": 512, "sequences": 10, "seconds": 1.0,
            "training_gflop": cost, "parameters": 1, "state_bytes": 1, "peak_memory_bytes": 1,
        }
        for i, (lag, ok) in enumerate(solved)
    ]  # fmt: skip
    report = {"rows": rows, "reaches": {"recall": 8}, "progress": 3.0}
    return Record(number, {}, {}, "", 0, 1, "failed_rung", None, report)


def test_the_history_of_a_trial_is_what_it_reported() -> None:
    record = finished(0, [(8, True), (8, True), (16, False)], cost=2.0)
    assert cost_and_progress(record, spec().ladder) == [
        (2.0, 1.5),
        (4.0, 3.0),
        (6.0, pytest.approx(3.0 + 0.45 / 0.9 / 2)),
    ]


def test_a_resumed_search_compares_with_the_trials_before() -> None:
    """A poor trial is stopped because of trials that ended before the driver was started."""
    poor = {COST: 1e6, "progress": 0.1}
    trial = SimpleNamespace(trial_id="new")
    decisions = []
    good = [finished(n, [(8, True), (8, True), (16, True), (16, True)], 1e6) for n in range(8)]
    for before in ([], good):
        scheduler = make_scheduler(spec(), SPACES["quick"], before)
        assert isinstance(scheduler, AsyncHyperBandScheduler)
        scheduler.on_trial_add(None, trial)
        decisions.append(scheduler.on_trial_result(None, trial, poor))
    assert decisions == [TrialScheduler.CONTINUE, TrialScheduler.STOP]


def test_cost_grows_with_the_budget() -> None:
    assert typical_cost(spec(), SPACES["quick"]) > 0
    longer = spec().model_copy(
        update={"ladder": spec().ladder.model_copy(update={"sequences": 3000})}
    )
    ratio = typical_cost(longer, SPACES["quick"]) / typical_cost(spec(), SPACES["quick"])
    assert ratio == pytest.approx(3)


def test_no_scheduler_lets_every_trial_climb() -> None:
    scheduler = make_scheduler(spec(scheduler="none"), SPACES["quick"], [])
    assert isinstance(scheduler, FIFOScheduler)


def test_paths_nest() -> None:
    assert nested({"a/b": 1, "a/c/d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
