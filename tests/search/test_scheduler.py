"""The schedulers: whom they stop, costs of a space, what a resume knows of earlier trials."""

from __future__ import annotations

import pickle
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from search.disk.record import Record
from search.proposing.draws import nested
from search.scheduling.asha import Bracket, Hyperband, SuccessiveHalving
from search.scheduling.scheduler import (
    COSTS,
    RULES,
    SCHEDULERS,
    VALUE,
    make_scheduler,
    typical_cost,
)
from search.spec import Spec
from search.spec.sections import SCHEDULERS as SPEC_NAMES
from spaces import SPACES, Space
from trainables.config import TrialConfig
from trainables.measure.ladder import expected_progress
from trainables.measure.records import MemberRung
from trainables.measure.report import Report, progress_by_row
from trainables.models.model import outline
from trainables.tasks.recall import Recall

COST = COSTS["gflop"]


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
    rows = tuple(
        MemberRung(
            "recall", lag, i % 2, "solved" if ok else "budget", 0.9 if ok else 0.45, 0.9,
            test_sequences=512, looks=1, sequences=10, seconds=1.0, training_gflop=cost,
        )
        for i, (lag, ok) in enumerate(solved)
    )  # fmt: skip
    report = Report(rows=rows, reaches={"recall": 8}, progress=3.0)
    return Record(number, {}, {}, "", 0, 1, "failed_rung", None, report)


def test_the_history_of_a_trial_is_what_it_reported() -> None:
    record = finished(0, [(8, True), (8, True), (16, False)], cost=2.0)
    assert progress_by_row(record.rows, record.report.reaches, spec().ladder) == [
        1.5,
        3.0,
        pytest.approx(3.0 + 0.45 / 0.9),
    ]


def test_who_has_solved_is_not_stopped_for_members_to_come() -> None:
    """All others nearly solved the first rung, and failed it; here one did, and one is to come."""
    failed = [finished(n, [(8, False)], 1e3) for n in range(8)]
    failed = [
        replace(r, report=replace(r.report, rows=(nearly(r.report.rows[0]),))) for r in failed
    ]
    scheduler = make_scheduler(spec(), SPACES["quick"], failed)
    (solved,) = finished(8, [(8, True)], 1e3).report.rows
    ladder = spec().ladder
    scores = [
        progress_by_row([row], ["recall"], ladder, expected_progress)[0]
        for row in (failed[0].report.rows[0], solved)
    ]
    trial = SimpleNamespace(config={"number": 8})
    result = {COST: 1e3, VALUE: scores[1]}
    assert scheduler.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE
    assert scores[0] < scores[1]
    (counted,) = progress_by_row([solved], ["recall"], ladder)
    assert counted < scores[0], "by progress alone it would have been stopped"


def nearly(row: MemberRung) -> MemberRung:
    return replace(row, success_rate=0.89)


def test_a_resumed_search_compares_with_the_trials_before() -> None:
    """A poor trial is stopped because of trials that ended before the driver was started."""
    poor = {COST: 1e6, VALUE: 0.1}
    trial = SimpleNamespace(config={"number": 8})
    decisions = []
    good = [finished(n, [(8, True), (8, True), (16, True), (16, True)], 1e6) for n in range(8)]
    for before in ([], good):
        scheduler = make_scheduler(spec(), SPACES["quick"], before)
        scheduler.on_trial_add(None, trial)
        decisions.append(scheduler.on_trial_result(None, trial, poor))
    assert decisions == [TrialScheduler.CONTINUE, TrialScheduler.STOP]


def told(number: int, seconds: float, sequences: int, value: float) -> Any:
    """A trial, and what it reports."""
    result = {COST: 1.0, "seconds": seconds, "sequences": sequences, VALUE: value}
    return SimpleNamespace(config={"number": number}), result


def test_by_seconds_who_is_slow_is_compared_with_those_who_took_as_long() -> None:
    """All have done as many operations; a tenth of a member's sequences is a trial's grace."""
    scheduler = make_scheduler(spec(scheduler_cost="seconds"), SPACES["quick"], [])
    going_on = [
        scheduler.on_trial_result(None, *told(number, seconds, sequences, value))
        for number, seconds, sequences, value in (
            (0, 10.0, 1000, 3.0),
            (1, 9.0, 99, 1.0),  # within its grace
            (1, 9.0, 100, 1.0),  # and now behind the one that took from 4 to 16 s
            (2, 3.0, 100, 1.0),  # nobody took from 1 to 4
            (3, 17.0, 100, 1.0),  # nor from 16 to 64
        )
    ]
    assert [each == TrialScheduler.CONTINUE for each in going_on] == [True, True, False, True, True]


def test_by_seconds_a_later_bracket_has_a_longer_grace() -> None:
    scheduler = make_scheduler(
        spec(scheduler="hyperband", scheduler_cost="seconds"), SPACES["quick"], []
    )
    rule = Hyperband(first=1, factor=4, milestones=6)
    late = [number for number in range(100) if rule.bracket_of(number) == 2]
    assert {rule.patience(number) for number in late} == {16}
    assert scheduler.on_trial_result(None, *told(late[0], 5.0, 1600, 3.0)) == "CONTINUE"
    for sequences, decision in ((1599, "CONTINUE"), (1600, "STOP")):
        assert scheduler.on_trial_result(None, *told(late[1], 5.0, sequences, 1.0)) == decision


def test_by_seconds_a_resumed_search_compares_with_the_trials_before() -> None:
    """Their rows took a second each, and ten sequences: none is compared before the tenth row."""
    decisions = []
    for rows in (9, 10):
        good = [finished(n, [(8, True)] * rows, 1.0) for n in range(8)]
        scheduler = make_scheduler(spec(scheduler_cost="seconds"), SPACES["quick"], good)
        decisions.append(scheduler.on_trial_result(None, *told(8, 10.0, 100, 0.1)))
    assert decisions == [TrialScheduler.CONTINUE, TrialScheduler.STOP]


def test_a_cost_is_refused_where_nobody_is_compared() -> None:
    with pytest.raises(ValueError, match="scheduler_cost: 'seconds' is not allowed with scheduler"):
        spec(scheduler="none", scheduler_cost="seconds")


def test_a_trial_is_compared_once_at_a_milestone() -> None:
    """By its number, whatever Tune calls it: handed out again, it does not compete with itself."""
    bracket = Bracket(first=10, factor=4, milestones=3)
    assert bracket.goes_on(0, 9.9, 0.0), "not before the first milestone"
    assert bracket.goes_on(0, 10, 5.0), "nobody was there before"
    assert not bracket.goes_on(1, 39, 4.0)
    assert bracket.goes_on(1, 39, 0.0), "it has been compared there"
    assert bracket.goes_on(1, 40, 0.0), "the first at the next one"
    assert bracket.goes_on(2, 10, 5.0), "as good as the best"
    assert bracket.goes_on(3, 1e9, 1.0), "the last milestone holds for all beyond it"
    assert not bracket.goes_on(4, 160, 0.9)


def test_the_best_quarter_goes_on() -> None:
    bracket = Bracket(first=1, factor=4, milestones=1)
    for number in range(9):
        bracket.goes_on(number, 1, float(number))
    assert [bracket.goes_on(9 + k, 1, value) for k, value in enumerate((5.9, 6.1))] == [False, True]


@pytest.mark.parametrize("seed", range(20))
def test_it_decides_as_rays_own_does(seed: int) -> None:
    """Fifty trials side by side, whose progress rises with what they cost, ties included."""
    draw = np.random.default_rng(seed)
    ours = SuccessiveHalving(Bracket(3, 4, 5), COST, "progress")
    rays = AsyncHyperBandScheduler(
        COST, "progress", "max", max_t=3 * 4**4, grace_period=3, reduction_factor=4,
        stop_last_trials=False,
    )  # fmt: skip
    trials = [SimpleNamespace(trial_id=f"t{n}", config={"number": n}) for n in range(50)]
    spent, reached = np.zeros(50), np.zeros(50)
    running, stopped = list(range(50)), 0
    for scheduler in (ours, rays):
        for trial in trials:
            scheduler.on_trial_add(None, trial)
    while running:
        number = int(draw.choice(running))
        spent[number] += draw.exponential(4)
        reached[number] += draw.integers(0, 3) / 2
        result = {COST: float(spent[number]), "progress": float(reached[number])}
        if draw.random() < 0.03:
            running.remove(number)
            for scheduler in (ours, rays):
                scheduler.on_trial_complete(None, trials[number], result)
            continue
        decision = ours.on_trial_result(None, trials[number], result)
        assert decision == rays.on_trial_result(None, trials[number], result)
        if decision == TrialScheduler.STOP:
            stopped += 1
            running.remove(number)
    assert 10 < stopped < 50


def test_a_trial_that_ended_without_a_report_is_not_compared() -> None:
    scheduler = SuccessiveHalving(Bracket(1, 4, 1), COST, "progress")
    scheduler.on_trial_complete(None, SimpleNamespace(config={"number": 0}), {})
    trial = SimpleNamespace(config={"number": 1})
    assert scheduler.on_trial_result(None, trial, {"progress": 1.0}) == TrialScheduler.CONTINUE


def test_every_scheduler_of_a_spec_is_there_and_goes_through_tunes_pickle() -> None:
    assert tuple(SCHEDULERS) == SPEC_NAMES
    for kind in SCHEDULERS:
        pickle.dumps(make_scheduler(spec(scheduler=kind), SPACES["quick"], []))


def test_hyperband_gives_a_bracket_the_fewer_trials_the_later_it_compares() -> None:
    hyperband = Hyperband(first=10, factor=4, milestones=6)
    given = np.bincount([hyperband.bracket_of(number) for number in range(1000)])
    assert given.tolist() == pytest.approx(np.array([16, 6, 3]) * 1000 / 25, abs=3)
    late = [number for number in range(100) if hyperband.bracket_of(number) == 2]
    assert all(hyperband.goes_on(number, 159, -float(number)) for number in late)
    decisions = [hyperband.goes_on(number, 160, -float(number)) for number in late]
    assert decisions == [True] + [False] * (len(late) - 1)


def test_the_better_half_of_several_goes_on() -> None:
    """The median is asked once five are there."""
    rule = RULES["median"](10)
    assert all(rule.goes_on(number, 10, float(5 - number)) for number in range(5))
    assert [rule.goes_on(n, 19, value) for n, value in ((5, 3.0), (6, 2.9))] == [True, False]
    assert rule.goes_on(6, 20, 0.0), "nobody was beyond the next milestone"


def test_cost_grows_with_the_budget() -> None:
    assert typical_cost(spec(), SPACES["quick"]) > 0
    longer = spec().model_copy(
        update={"ladder": spec().ladder.model_copy(update={"sequences": 3000})}
    )
    ratio = typical_cost(longer, SPACES["quick"]) / typical_cost(spec(), SPACES["quick"])
    assert ratio == pytest.approx(3)


def test_the_first_comparison_is_at_a_tenth_of_a_members_first_rung() -> None:
    """Of one of two choices, in the middle of the draws: three passes a sequence, in GFLOP."""

    def one_size(size: int) -> Space:
        def space(trial: optuna.Trial) -> dict[str, object]:
            trial.suggest_float("training/learning_rate", 0.01, 0.1)
            return {"model/cell/kind": "rnn", "model/hidden_size": size}

        return space

    task = Recall(Recall.Config())
    for size in (8, 64):
        config = TrialConfig.model_validate({"model": {"cell": "rnn", "hidden_size": size}})
        flops = outline(config.model, task).flops(task.length(8), 1)
        assert typical_cost(spec(), one_size(size)) == pytest.approx(0.1 * 3e-9 * 1000 * flops)


def test_what_the_constraints_refuse_costs_nothing_unless_that_is_all() -> None:
    """Of 200 draws, not of the 32 that are enough where nothing is refused."""
    sizes: list[int] = []

    def mostly_large(trial: optuna.Trial) -> dict[str, object]:
        sizes.append(8 if trial.number in (50, 100) else 256)
        trial.suggest_float("training/learning_rate", 0.01, 0.1)
        return {"model/cell/kind": "rnn", "model/hidden_size": sizes[-1]}

    def only(size: int) -> float:
        return typical_cost(spec(), lambda trial: mostly_large(trial) | {"model/hidden_size": size})

    small, large = only(8), only(256)
    assert small < large / 10
    drawn = []
    for most, expected in ((2000, small), (10, large), (None, large)):
        sizes.clear()
        constraints = {"max_parameters": most} if most else {}
        limited = spec().model_copy(
            update={"constraints": spec().constraints.model_copy(update=constraints)}
        )
        assert typical_cost(limited, mostly_large) == pytest.approx(expected)
        drawn.append(len(sizes))
    assert drawn == [200, 200, 32]


def test_a_trial_that_goes_on_after_a_resume_is_not_compared_with_itself() -> None:
    """It is known by its number, as it was measured before."""
    before = finished(3, [(8, True), (8, True)], 1e6)
    scheduler = make_scheduler(spec(), SPACES["quick"], [before])
    again = SimpleNamespace(config={"number": 3})
    scheduler.on_trial_add(None, again)
    worse = {COST: 1e6, VALUE: 0.1}
    assert scheduler.on_trial_result(None, again, worse) == TrialScheduler.CONTINUE


def test_no_scheduler_lets_every_trial_climb() -> None:
    scheduler = make_scheduler(spec(scheduler="none"), SPACES["quick"], [])
    assert isinstance(scheduler, FIFOScheduler)


def test_paths_nest() -> None:
    assert nested({"a/b": 1, "a/c/d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
