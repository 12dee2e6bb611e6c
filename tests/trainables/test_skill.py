"""Skill apart from memory: bounds on a ratio hold as they say, and limits are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.measure.ladder_config import LadderConfig
from trainables.measure.limits import limit_of, ratio_at_least, ratio_at_most
from trainables.measure.records import CurvePoint, MemberRung
from trainables.measure.skill import SuccessCount, least_skill, skill_of, wrong_answers

TRIALS, SEQUENCES = 4000, 359


@pytest.mark.parametrize(("rung", "skill"), [(0.88, 0.93), (0.5, 0.99), (0.95, 0.95)])
def test_a_bound_on_the_ratio_errs_as_seldom_as_it_says(rung: float, skill: float) -> None:
    """Of simulated pairs of counts, each side is wrong in at most 5 %."""
    generator = np.random.default_rng(0)
    draws = generator.binomial(SEQUENCES, [rung, skill], (TRIALS, 2)).tolist()
    pairs, times = np.unique(draws, axis=0, return_counts=True)
    too_high = too_low = 0
    for (one, other), count in zip(pairs.tolist(), times.tolist(), strict=True):
        told = SuccessCount(one, SEQUENCES), SuccessCount(other, SEQUENCES)
        too_high += count * (ratio_at_least(*told) > rung / skill)
        too_low += count * (ratio_at_most(*told) < rung / skill)
    assert 0 < too_high <= 0.05 * TRIALS
    assert 0 < too_low <= 0.05 * TRIALS


def row(lag: int, rate: float, solved: bool, member: int = 0, task: str = "recall") -> MemberRung:
    ended = "solved" if solved else "budget"
    shown = {"success_rate": rate, "test_sequences": SEQUENCES}
    return MemberRung(task, lag, member, ended, **shown)  # type: ignore[arg-type]  # a literal


@pytest.mark.parametrize(
    ("skill", "rung", "success", "limit"),
    [
        (0.907, 0.853, 0.85, "skill, not forgetting"),  # trial 0 of the quick start
        (0.93, 0.1, 0.9, "forgetting"),
        (0.99, 0.97, 0.97, "skill, not forgetting"),
        (0.99, 0.92, 0.9, "undecided"),
    ],
)
def test_limits(skill: float, rung: float, success: float, limit: str) -> None:
    rows = [row(8, skill, True), row(16, rung, False)]
    assert limit_of(rows, [], LadderConfig(success=success)) == limit


def test_the_skill_is_the_best_shown_at_a_shorter_lag() -> None:
    """By the final weights too; what they do at the failing rung or beyond is no skill."""
    rows = [row(8, 0.907, True), row(16, 0.853, False)]
    ladder = LadderConfig(success=0.85)
    better = CurvePoint("recall", 8, 128, 128, learned=True)
    assert limit_of(rows, [better], ladder) == "forgetting"
    beyond = CurvePoint("recall", 32, 128, 128, learned=False)
    assert limit_of(rows, [beyond], ladder) == "skill, not forgetting"


def test_without_a_failed_rung_or_a_look_there_is_no_limit() -> None:
    assert limit_of([row(8, 0.99, True)], [], LadderConfig()) is None
    assert limit_of([row(8, 0.3, False)], [], LadderConfig()) is None
    unseen = MemberRung("recall", 16, 0, "nan")
    assert limit_of([row(8, 0.99, True), unseen], [], LadderConfig()) is None


def test_skill_is_the_best_members_at_the_shortest_lag() -> None:
    rows = [row(8, 0.91, True), row(8, 0.95, True, member=1), row(16, 0.99, True, member=1)]
    assert skill_of(rows) == SuccessCount(341, SEQUENCES)
    assert skill_of([MemberRung("recall", 8, 0, "nan")]) is None
    assert least_skill([*rows, row(8, 0.5, False, task="parity")]) == pytest.approx(0.5, abs=0.01)
    assert least_skill([]) is None


def test_single_answers_wrong_are_the_best_members_at_the_reach() -> None:
    """At the shortest rung, where nothing was passed; the most over the tasks."""

    def reads(lag: int, right: float, answers: int = 20, task: str = "flip_flop") -> MemberRung:
        return MemberRung(task, lag, 0, "solved", answers=answers, answer_rate=right)

    rows = [reads(8, 0.9), reads(16, 0.99), reads(16, 0.995), reads(32, 0.5)]
    assert wrong_answers(rows, {"flip_flop": 16}) == pytest.approx(0.005)
    assert wrong_answers(rows, {"flip_flop": 0}) == pytest.approx(0.1)
    alone = MemberRung("recall", 8, 0, "solved", 0.9, answers=1, answer_rate=0.9)
    assert wrong_answers([alone], {"recall": 8}) is None
    assert wrong_answers([reads(8, 0.9, answers=1)], {"flip_flop": 8}) == pytest.approx(0.1)
    several = [*rows, reads(8, 0.97, task="copying")]
    assert wrong_answers(several, {"flip_flop": 16, "copying": 8}) == pytest.approx(0.03)
