"""A trial, from first weights to outcome: what it reports, and that it is the same again."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.small_trials import SMALL, SPECS, in_peace, repeatable, run, weights_in
from tests.trainables.training.stand_ins import CPU
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import EndedRung, FinalPoints, MemberRung, best_member
from trainables.models import kernels
from trainables.models.kernels import environment
from trainables.tasks.recall import Recall
from trainables.trial import measure_final

# What is reported


@pytest.mark.parametrize("name", SPECS)
def test_the_small_trials_are_worth_testing_with(name: str) -> None:
    """Both tasks are tried; two specs climb to the top, the other fails."""
    result, reports, weights, _ = in_peace(name)
    ended = {row.ended_by for row in result.rows}
    assert {row.task for row in result.rows} == {"recall", "recall-2"}
    if name != "scratch":
        assert (result.ended_by, ended) == ("top", {"solved"})
        assert result.reaches == {"recall": 8, "recall-2": 8}
    else:
        assert result.ended_by == "failed_rung"
        assert ended == {"solved", "budget"}
        assert result.reaches["recall"] >= 4
    assert len(reports) >= len(result.rows) + 5
    assert weights


@pytest.mark.parametrize("name", SPECS)
def test_every_report_says_how_recurrences_were_computed(name: str) -> None:
    result, reports, _, _ = in_peace(name)
    assert result.kernels.startswith(("c: ", "torch: "))
    assert {report.kernels for report in [*reports, result]} == {kernels.describe()}
    assert {report.environment for report in [*reports, result]} == {environment.describe()}


@pytest.mark.parametrize("name", SPECS)
def test_progress_never_falls_and_is_a_number(name: str) -> None:
    _, reports, _, _ = in_peace(name)
    progress = [report.progress for report in reports]
    assert progress == sorted(progress)
    assert all(math.isfinite(p) for p in progress)
    assert progress[0] < progress[-1]


@pytest.mark.parametrize("name", SPECS)
def test_nothing_is_reported_before_an_attempt_is_over(name: str) -> None:
    """So that no scheduler stops a trial that has measured nothing."""
    _, reports, _, _ = in_peace(name)
    assert all(report.rows for report in reports)
    assert [report.ended_by for report in reports[:-1]] == [None] * (len(reports) - 1)


@pytest.mark.parametrize("name", SPECS)
def test_cost_and_sequences_are_counted_once(name: str) -> None:
    """They rise with every report, the attempt under way included, to the sum over the rows."""
    result, reports, _, _ = in_peace(name)
    for key in ("training_gflop", "sequences"):
        counts = [getattr(report, key) for report in reports]
        assert counts == sorted(counts)
    assert result.sequences == sum(row.sequences for row in result.rows)
    spent = sum(row.training_gflop for row in result.rows)
    assert result.training_gflop == pytest.approx(spent, rel=1e-12)
    assert any(r.sequences > sum(row.sequences for row in r.rows) for r in reports)


@pytest.mark.parametrize("name", SPECS)
def test_the_trace_goes_on_and_covers_every_attempt(name: str) -> None:
    """At its first step and then at every tenth of the budget.

    Who goes ahead has attempts without a row, and rows without a training step.
    """
    result, _, _, _ = in_peace(name)
    sequences = [point.sequences for point in result.trace]
    assert all(a < b for a, b in pairwise(sequences))
    assert all(math.isfinite(point.loss) for point in result.trace)
    assert all(0 <= point.success_rate <= 1 for point in result.trace)
    before, tenth = 0, SPECS[name].ladder.sequences // 10
    for row in result.rows if SPECS[name].ladder.ahead is None else ():
        points = [
            point.sequences - before
            for point in result.trace
            if (point.task, point.lag, point.member) == (row.task, row.lag, row.member)
        ]
        assert points[0] == 16
        # a point is due when a tenth is full, and is taken at the next step of 16 sequences
        assert [p // tenth for p in points] == list(range(len(points)))
        assert all(p % tenth < 16 for p in points[1:])
        assert row.sequences - points[-1] <= tenth + 16
        before += row.sequences


def test_reach_is_the_least_and_progress_the_mean(tmp_path: Path) -> None:
    """Of a task climbed to the top and one never passed, 100 symbols in so few sequences."""
    tasks = {"recall": Recall.Config(alphabet=2), "recall-2": Recall.Config(alphabet=100)}
    spec = replace(SPECS["increments"], tasks=tasks)
    result, _ = run(spec, tmp_path)
    assert result.reaches == {"recall": 8, "recall-2": 0}
    assert (result.reach, result.ended_by) == (0, "failed_rung")
    alone, _ = run(replace(spec, tasks={"recall-2": tasks["recall-2"]}), tmp_path / "alone")
    assert result.progress == pytest.approx((math.log2(8) + alone.progress) / 2, rel=1e-12)


@pytest.mark.parametrize("name", SPECS)
def test_the_curve_holds_every_rung_passed_and_some_beyond(name: str) -> None:
    result, _, _, _ = in_peace(name)
    for task, reach in result.reaches.items():
        points = [point for point in result.curve if point.task == task]
        learned = [point.lag for point in points if point.learned]
        assert learned == [lag for lag in SPECS[name].ladder.rungs if lag <= reach]
        assert all(point.lag > reach for point in points if not point.learned)
        assert all(p.successes >= 0.6 * 128 for p in points if p.lag == reach)


@pytest.mark.parametrize("name", SPECS)
def test_the_horizon_is_taken_at_first_and_at_final_weights(name: str) -> None:
    """At the reach; where nothing was learned, at first weights alone, at the ladder's start."""
    result, _, _, _ = in_peace(name)
    for task, reach in result.reaches.items():
        points = [point for point in result.horizon if point.task == task]
        assert {point.moment for point in points} == ({"start", "end"} if reach else {"start"})
        assert {point.lag for point in points} == {reach or 4}
        backs = [point.back for point in points if point.moment == "start"]
        assert backs == [back for back in (0, 1, 2, 4, 8) if back <= (reach or 4)]
        assert all(math.isfinite(point.norm) for point in points)


def test_what_a_stopped_trial_left_is_measured_afterwards_as_by_itself(tmp_path: Path) -> None:
    """The trial is cut off before it measures; the same points follow from its rows and weights."""
    spec = SPECS["increments"]
    result, _ = run(spec, tmp_path)
    stopped = replace(result, final={"recall-2": FinalPoints()})
    assert measure_final(spec, tmp_path, replace(result, final={}), CPU) == result.final
    assert measure_final(spec, tmp_path, stopped, CPU).keys() == {"recall"}


# How a trial ends


def test_a_single_rung_and_a_single_member(tmp_path: Path) -> None:
    steps = LadderConfig(**{**SMALL, "stop": 4, "members": 1, "quorum": 1})
    spec = replace(SPECS["increments"], ladder=steps, tasks={"recall": Recall.Config(alphabet=2)})
    result, _ = run(spec, tmp_path)
    assert (result.reach, result.ended_by, len(result.rows)) == (4, "top", 1)
    assert result.progress == 2


def test_a_budget_below_a_batch_still_ends_with_a_look(tmp_path: Path) -> None:
    steps = LadderConfig(**{**SMALL, "sequences": 5})
    result, reports = run(replace(SPECS["increments"], ladder=steps), tmp_path)
    assert (result.reach, result.ended_by) == (0, "failed_rung")
    assert [row.sequences for row in result.rows] == [5, 5]
    assert all(row.test_sequences == 64 for row in result.rows)
    assert 0 <= result.progress < 2  # it may be no better than chance
    assert (result.curve, result.trace) == ((), ())
    assert {point.moment for point in result.horizon} == {"start"}
    assert len(reports) == 3


def row(member: int, success_rate: float, solved: bool = True, lag: int = 8) -> MemberRung:
    ended: EndedRung = "solved" if solved else "budget"
    return MemberRung(
        "recall", lag, member, ended, success_rate, 0.5, 64, 1, 100, 1.0, 1.0, 10, 4, 1
    )  # fmt: skip


def test_the_best_member_solved_the_rung_with_the_highest_rate() -> None:
    """Of equals the first; one that did not solve it, or another rung, does not count."""
    rows = [
        row(2, 0.95),
        row(1, 0.97),
        row(0, 0.97),
        row(3, 0.99, solved=False),
        row(4, 1.0, lag=4),
    ]
    assert best_member(rows, 8) == 0
    assert best_member(rows, 4) == 4


# The same again


@pytest.mark.parametrize("name", SPECS)
def test_a_trial_repeated_gives_the_same(tmp_path: Path, name: str) -> None:
    """Whatever the global generators are seeded with, and it leaves them as they are."""
    result, reports, weights, _ = in_peace(name)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    random.seed(123)
    states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
    again, reports_again = run(SPECS[name], tmp_path)
    assert repeatable(again) == repeatable(result)
    assert [repeatable(r) for r in reports_again] == [repeatable(r) for r in reports]
    assert weights_in(tmp_path) == weights
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (str(np.random.get_state()), random.getstate()) == states[1:]  # noqa: NPY002


def test_another_seed_is_another_trial(tmp_path: Path) -> None:
    result, _, weights, _ = in_peace("increments")
    other, _ = run(replace(SPECS["increments"], seed=1), tmp_path)
    assert other.trace != result.trace
    others = weights_in(tmp_path)
    assert all(others[name] != weights[name] for name in others.keys() & weights.keys())
    by_member = [file for name, file in weights.items() if name.startswith("weights/recall/8-")]
    assert len(by_member) == len(set(by_member)) == 2
