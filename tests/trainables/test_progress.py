"""How a climb is scored: progress, on its way and in the end, and what a member achieved."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.test_ladder import SUCCESS, ladders, outcome, random_climb, rates, rules
from trainables.measure.ladder import (
    Rule,
    achieved,
    expected_progress,
    open_progress,
    progress,
    rungs,
)
from trainables.measure.records import MemberRung


@given(ladders, rules, st.randoms(use_true_random=False))
def test_progress_never_falls_and_is_never_nan(
    lags: tuple[int, ...], rule: Rule, random: Random
) -> None:
    climbed = random_climb(lags, rule, random)
    counts = range(len(climbed.outcomes) + 1)
    scores = [progress(climbed.outcomes[:n], lags, rule, SUCCESS) for n in counts]
    assert all(math.isfinite(score) for score in scores)
    assert all(before <= after for before, after in pairwise(scores))
    assert scores[0] == 0


@given(ladders, rules, st.randoms(use_true_random=False))
def test_progress_lies_between_its_reach_and_the_next_rung(
    lags: tuple[int, ...], rule: Rule, random: Random
) -> None:
    climbed = random_climb(lags, rule, random)
    score = progress(climbed.outcomes, lags, rule, SUCCESS)
    assert score >= math.log2(climbed.reach or 1)
    if climbed.censored:
        assert score == math.log2(lags[-1])
    else:
        assert score < math.log2(lags[len(climbed.passed)])


@pytest.mark.parametrize("quorum", [1, 2, 3])
@pytest.mark.parametrize("ratio", [1.5, 2, 4])
@pytest.mark.parametrize("start", [2, 3, 8])
def test_a_passed_rung_outranks_every_failure_of_it(start: int, ratio: float, quorum: int) -> None:
    """Against the best failure there is: the quorum lacks one, and the others fail by a hair."""
    lags, rule = rungs(start, 4096, ratio), Rule(3, quorum)
    for index, lag in enumerate(lags):
        below = [outcome(passed, m) for passed in lags[:index] for m in range(3)]
        near = [*below, *(outcome(lag, m) for m in range(quorum - 1))]
        near += [outcome(lag, m, "budget", 1.0) for m in range(quorum - 1, 3)]
        passed = [*below, *(outcome(lag, m) for m in range(3))]
        assert progress(near, lags, rule, SUCCESS) < progress(passed, lags, rule, SUCCESS)
        assert progress(passed, lags, rule, SUCCESS) == pytest.approx(math.log2(lag), abs=1e-12)


@pytest.mark.parametrize("ratio", [1.5, 2, 4])
@pytest.mark.parametrize("start", [2, 3, 8])
@given(low=rates, high=rates)
def test_a_near_miss_outranks_a_total_failure(
    start: int, ratio: float, low: float, high: float
) -> None:
    """On every rung, the first one too: the more sequences right, the higher the score."""
    lags, rule = rungs(start, 64, ratio), Rule(2, 2)
    low, high = sorted((0.0 if math.isnan(rate) else rate) for rate in (low, high))
    for index, lag in enumerate(lags):
        below = [outcome(passed, m) for passed in lags[:index] for m in range(2)]
        worse, better = (
            progress([*below, outcome(lag, 0, "budget", rate)], lags, rule, SUCCESS)
            for rate in (low, high)
        )
        assert worse <= better
        assert worse < better or high - low < 1e-9 or low > 0.99 * SUCCESS


def test_progress_by_hand() -> None:
    """Rung 8 passed by two; on rung 16 one solved, one of the other two was half as good."""
    tried = [outcome(8, 0), outcome(8, 1), outcome(8, 2), outcome(16, 0)]
    tried += [outcome(16, 1, "budget", 0.45), outcome(16, 2, "nan", math.nan)]
    assert progress(tried, (8, 16, 32), Rule(3, 3), SUCCESS) == pytest.approx(3 + (1 + 0.5) / 3)
    assert progress(tried[4:5], (8, 16), Rule(3, 3), SUCCESS) == 0  # not on the rung in question
    first = [outcome(8, 0, "budget", 0.45)]
    assert progress(first, (8, 16), Rule(3, 3), SUCCESS) == pytest.approx(3 * 0.5)  # curtailed
    assert progress(first, (8, 16), Rule(3, 2), SUCCESS) == pytest.approx(3 * 0.5 / 2)  # not yet


@given(ladders, rules, st.randoms(use_true_random=False))
def test_expected_progress_is_progress_in_the_end(
    lags: tuple[int, ...], rule: Rule, random: Random
) -> None:
    """And never below it on the way: members to come do as those that came, not nothing."""
    tried = random_climb(lags, rule, random).outcomes
    pairs = [
        (
            progress(tried[:n], lags, rule, SUCCESS),
            expected_progress(tried[:n], lags, rule, SUCCESS),
        )
        for n in range(len(tried) + 1)
    ]
    assert all(counted <= expected for counted, expected in pairs)
    assert pairs[-1][0] == pairs[-1][1]


def shown(answers: int, rate: float, chance: float, sequences: float = 0.0) -> MemberRung:
    """A member that did not solve the first rung, and what it showed there."""
    row = outcome(8, 0, "budget", sequences)
    return replace(row, answers=answers, answer_rate=rate, chance=chance)


def test_below_the_first_success_answers_count_beyond_chance() -> None:
    """Ten answers of eight classes, no sequence of which is right yet; and parity by guessing."""
    scores = [achieved(shown(10, rate, 0.125), SUCCESS) for rate in (0.125, 0.3, 0.5, 0.7)]
    assert scores[0] == 0
    assert scores == pytest.approx([(rate - 0.125) / 0.775 / 2 for rate in (0.125, 0.3, 0.5, 0.7)])
    assert achieved(shown(1, 0.5, 0.5, 0.5), SUCCESS) == 0
    assert achieved(shown(1, 0.7, 0.5, 0.7), SUCCESS) == pytest.approx(0.5)
    assert achieved(shown(1, 0.9, 0.5, 0.9), SUCCESS) == 0.99  # still below every passing
    assert achieved(shown(2, 0.95, 0.95, 0.9), SUCCESS) < 1  # nobody can do worse than chance here


def test_what_a_rung_asks_of_a_member_of_its_own_is_what_it_is_measured_by() -> None:
    row = replace(shown(1, 0.4, 0.0, 0.4), asked=0.5)
    assert achieved(row, SUCCESS) == pytest.approx(0.8)


def test_an_open_rung_counts_for_more_than_a_failed_one() -> None:
    """Of the same reach; but not for as much as one that was passed, and a reach of 0 for none."""
    lags, rule = (8, 16, 32), Rule(2, 2)
    passed = [outcome(8, 0), outcome(8, 1)]
    failed = [*passed, outcome(16, 0), outcome(16, 1, "budget", 0.899)]
    assert progress(failed, lags, rule, SUCCESS) < open_progress(passed, lags, rule, SUCCESS) < 4
    assert open_progress(failed, lags, rule, SUCCESS) == progress(failed, lags, rule, SUCCESS)
    assert open_progress(passed[:1], lags, rule, SUCCESS) == progress(
        passed[:1], lags, rule, SUCCESS
    )
    top = [outcome(lag, member) for lag in lags for member in (0, 1)]
    assert open_progress(top, lags, rule, SUCCESS) == math.log2(32)
