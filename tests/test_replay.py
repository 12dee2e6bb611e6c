"""The replay of searches: what is played from a table is what a search would have measured."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.replay.__main__ import median, ratio
from benchmarks.replay.orders import played
from benchmarks.replay.paired import said, sign_test
from benchmarks.replay.playing import NEVER, Aim, first_rung_then, play, promoted, scheduler_of
from benchmarks.replay.proposers import Asked, Blind, Families, Table
from benchmarks.replay.table import read_table
from benchmarks.replay.tasks import MEASURED, MEMBERS
from benchmarks.replay.trials import FRESH, POLICIES, Trial, race, trials_of
from search.proposing.draws import proposed
from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler
from spaces import SPACES
from trainables.measure.ladder import climb, progress
from trainables.measure.records import MemberRung

LADDER = MEASURED["recall"].ladder


def trial(number: int, random: np.random.Generator) -> Trial:
    """Members that each climb some rungs, more often alike than not."""
    study = new_study(sampler=make_sampler("random", 0, number)).ask()
    proposed(SPACES["everything"], study)
    made = Trial(number, dict(study.params), LADDER)
    common = int(random.integers(0, len(LADDER.rungs) + 1))
    for member in range(MEMBERS):
        tops = max(0, min(len(LADDER.rungs), common + int(random.integers(-1, 2))))
        for lag in LADDER.rungs[: tops + 1]:
            solved = lag in LADDER.rungs[:tops]
            made.rows[lag, member] = MemberRung(
                "recall", lag, member, "solved" if solved else "budget",
                success_rate=0.95 if solved else float(random.random()) * 0.85,
                sequences=int(random.integers(1000)), seconds=float(random.exponential()),
                training_gflop=float(random.exponential()),
            )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    random = np.random.default_rng(0)
    return [trial(number, random) for number in range(40)]


def test_without_a_scheduler_every_trial_is_measured_as_in_a_search(trials: list[Trial]) -> None:
    aim = Aim.of(trials)
    found = play(Blind(trials, 1), POLICIES["breadth"], None, aim, 1000)
    assert found.trials == len(trials)
    assert found.gflop == pytest.approx(sum(trial.gflop for trial in trials))
    first = next(
        place for place, k in enumerate(np.random.default_rng(1).permutation(len(trials)), 1)
        if trials[k].outcome == aim.best
    )  # fmt: skip
    assert found.best[0] == first
    for each in trials:
        rows = climb(lambda lag, m, of=each: of.rows[lag, m], LADDER.rungs, LADDER.rule).outcomes
        assert each.outcome == progress(rows, LADDER.rungs, LADDER.rule, LADDER.success)


def test_a_bandit_gives_more_trials_to_the_kind_that_does_well(trials: list[Trial]) -> None:
    """Each trial once, and the good kind's before half of the others are out."""
    good = trials[0].parameters["model/cell/kind"]
    many = [
        replace(each, parameters={**each.parameters, "model/cell/kind": good if k % 4 else "other"})
        for k, each in enumerate(trials)
    ]
    handed, sooner = [], 0
    for order in range(20):
        bandit, played = Families(many, order), []
        while (each := bandit.next()) is not None:
            bandit.told(each, float(each.parameters["model/cell/kind"] == "other"))
            played.append(each.number)
        handed.append(sorted(played))
        last = max(place for place, number in enumerate(played) if number % 4 == 0)
        sooner += last < len(many) * 3 / 4
    assert handed == [[each.number for each in many]] * 20
    assert sooner >= 15


def test_a_race_leaves_out_only_what_could_not_win(trials: list[Trial]) -> None:
    """What it ends early has less progress than the best; what it does not costs as it would."""
    left_out = 0
    for best in (0.0, 2.5, 4.0, 6.0):
        for each in trials:
            steps = list(race(each, best))
            spent = sum(step.gflop for step in steps)
            assert all(a.value <= b.value for a, b in pairwise(steps))
            if spent < each.gflop * (1 - 1e-9):
                left_out += 1
                assert each.outcome < best
    assert left_out > 20


def test_a_scheduler_stops_trials_and_what_it_stops_is_not_found(trials: list[Trial]) -> None:
    aim = Aim.of(trials)
    whole = [play(Blind(trials, k), POLICIES["breadth"], None, aim, 40) for k in range(10)]
    for kind in ("asha", "hyperband", "median", "asha:seconds"):
        less = [
            play(Blind(trials, k), POLICIES["breadth"], scheduler_of(kind, 1.0, 1000), aim, 40)
            for k in range(10)
        ]
        assert all(a.seconds < b.seconds for a, b in zip(less, whole, strict=True)), kind
        assert all(a.gflop < b.gflop for a, b in zip(less, whole, strict=True)), kind
        assert all(a.best[0] >= b.best[0] for a, b in zip(less, whole, strict=True)), kind


def test_the_best_of_the_first_rung_go_on_and_no_others(trials: list[Trial]) -> None:
    aim = Aim.of(trials)
    few, all_of_them = (first_rung_then(Blind(trials, 0), k, aim, 40) for k in (2, 40))
    assert all_of_them.gflop == pytest.approx(sum(trial.gflop for trial in trials))
    assert few.gflop < all_of_them.gflop
    assert all_of_them.best[0] == 40


def test_trials_that_wait_go_on_as_one_in_so_many_came(trials: list[Trial]) -> None:
    """By the cost, counted by hand; the best that waits is on the highest rung."""
    breadth, aim = POLICIES["breadth"], Aim.of(trials)
    everyone = promoted(Blind(trials, 0), breadth, 1, aim, 1000)
    assert everyone.gflop == pytest.approx(sum(trial.gflop for trial in trials))
    assert everyone.best[0] <= len(trials)
    nobody = promoted(Blind(trials, 0), breadth, len(trials) + 1, aim, len(trials))
    firsts = [row for trial in trials for row in trial.climbed() if row.lag == LADDER.start]
    assert nobody.gflop == pytest.approx(sum(row.training_gflop for row in firsts))
    some = promoted(Blind(trials, 0), breadth, 4, aim, len(trials))
    assert nobody.gflop < some.gflop < everyone.gflop
    assert some.trials == len(trials)


def test_a_sampler_is_held_to_the_table_and_told_what_was_played(trials: list[Trial]) -> None:
    """Each row once; the nearest to a row is the row; TPE then finds what is good sooner."""
    table = Table(trials)
    for k in (0, 17, 39):
        distances = table.distances(trials[k].parameters)
        assert (distances.argmin(), distances.min()) == (k, 0)
    asked = Asked("tpe", table, 3)
    handed = []
    while (each := asked.next()) is not None:
        handed.append(each.number)
        asked.told(each, each.outcome)
    assert sorted(handed) == list(range(40))
    told = [t for t in asked._study.trials if t.value is not None]
    assert [t.value for t in told] == [trials[number].outcome for number in handed]


def test_a_trial_certifies_if_all_of_its_fresh_members_solve_its_reach(trials: list[Trial]) -> None:
    one = max(trials, key=lambda trial: trial.outcome)
    assert one.certified is None
    fresh = range(MEMBERS, MEMBERS + FRESH)
    reached = {(one.reach, m): MemberRung("recall", one.reach, m, "solved") for m in fresh}
    failed = {(one.reach, MEMBERS): MemberRung("recall", one.reach, MEMBERS, "budget")}
    few = {key: row for key, row in reached.items() if key[1] > MEMBERS}
    found = [
        Trial(one.number, one.parameters, LADDER, one.rows | added).certified
        for added in (reached, reached | failed, few)
    ]
    assert found == [True, False, False]


def test_medians_and_their_intervals() -> None:
    assert median([5.0] * 10) == "5 (5-5)"
    assert median([1.0, 2.0, NEVER, NEVER, NEVER]).startswith("never (")
    assert ratio(np.full(9, 6.0), np.full(9, 3.0)) == "2.00 (2.00-2.00)"
    assert ratio(np.full(9, 6.0), np.full(9, math.inf)) == "-"


def test_the_table_that_is_kept_can_be_played(tmp_path: Path) -> None:
    """Every task, by the product's own rule: each trial has what its climb asks for."""
    table = read_table()
    for task in MEASURED:
        kept = trials_of(table, task)
        assert len(kept) >= 50
        aim, encoded = Aim.of(kept), Table(kept)
        for search in ("tpe+asha+breadth", "random+none+race"):
            found = played(search, kept, encoded, aim, 1.0, 0, 12)
            assert found.trials == 12
            assert 0 < found.gflop < math.inf
    assert read_table(tmp_path / "none").rows == []


def test_the_earlier_progress_is_that_of_whole_sequences(trials: list[Trial]) -> None:
    """A failing rung by the success asked for, members left out as 0; reaches are the same."""
    rung = LADDER.rungs[0]
    for rates, then, now in (((0.45,), 0.5 / 3, 0.4194), ((0.1,), 0.1 / 2.7, 0.0)):
        rows = {
            (rung, member): MemberRung("recall", rung, member, "budget", rate, answers=1,
                                       answer_rate=rate, chance=1 / 8)
            for member, rate in enumerate(rates)
        }  # fmt: skip
        made = [Trial(0, {}, LADDER, rows, earlier) for earlier in (True, False)]
        assert [one.outcome for one in made] == pytest.approx([2 * then, 2 * now], abs=0.01)
    for one in trials:
        before = Trial(one.number, one.parameters, LADDER, one.rows, earlier=True)
        assert (before.outcome >= 2) == (one.outcome >= 2) == (one.reach > 0)


def test_orders_are_told_side_by_side() -> None:
    """Of those that differ an exact sign test; one that never gets there is later."""
    found = np.array([[20, 10], [20, 20], [NEVER, 30], [5, 9]])
    assert said(found) == (
        "found 75% and 100%, median trials 20 and 15; sooner in 2 of 4 orders, later in 1, p 1.00"
    )
    assert sign_test(0, 6) == 2 / 64
    assert sign_test(3, 3) == 1.0
