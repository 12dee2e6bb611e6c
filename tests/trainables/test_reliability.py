"""Exact binomial statistics against SciPy, brute force and exactly computed coverage."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trainables.measure.reliability import (
    CONFIDENCE,
    look_confidence,
    lower_bound,
    successes_needed,
    trials_needed,
    upper_bound,
)

ALPHA = 1 - CONFIDENCE
LOOKS = 40
"""As many looks as a rung of 50,000 sequences leaves room for."""

tallies = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 1 - 1e-6])
successes = st.sampled_from([0.1, 0.5, 0.75, 0.8, 0.9, 0.95, 0.99])


# The bounds


@given(tallies, confidences)
def test_bounds_are_scipys_exact_interval(tally: tuple[int, int], confidence: float) -> None:
    """A one-sided bound at error alpha is one end of the two-sided interval at 2 alpha."""
    right, shown = tally
    level = 2 * confidence - 1
    exact = stats.binomtest(right, shown).proportion_ci(confidence_level=level, method="exact")
    # SciPy finds its ends by root search, to about 1e-12 absolute
    assert lower_bound(right, shown, confidence) == pytest.approx(exact.low, abs=1e-9)
    assert upper_bound(right, shown, confidence) == pytest.approx(exact.high, abs=1e-9)


@given(tallies, confidences)
def test_bounds_solve_their_defining_equations(tally: tuple[int, int], confidence: float) -> None:
    """At the lower bound, k successes or more have probability alpha; likewise above."""
    right, shown = tally
    low, high = lower_bound(right, shown, confidence), upper_bound(right, shown, confidence)
    assert 0 <= low <= right / shown <= high <= 1
    if right > 0:
        assert stats.binom.sf(right - 1, shown, low) == pytest.approx(1 - confidence, rel=1e-6)
    if right < shown:
        assert stats.binom.cdf(right, shown, high) == pytest.approx(1 - confidence, rel=1e-6)


def test_nothing_tried_says_nothing() -> None:
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0, 1)


@pytest.mark.parametrize(
    ("members", "solved", "bound"), [(14, 14, 0.8074), (22, 21, 0.8019), (30, 28, 0.8047)]
)
def test_the_certificates_of_the_design(members: int, solved: int, bound: float) -> None:
    """The plans that establish a reliability of 0.8 at 95 %, and each is the smallest."""
    assert lower_bound(solved, members) == pytest.approx(bound, abs=5e-5)
    assert lower_bound(solved - 1, members - 1) < 0.8


@pytest.mark.parametrize("trials", [1, 2, 5, 17, 100, 512])
def test_the_bound_exceeds_the_true_rate_in_at_most_five_percent(trials: int) -> None:
    """Coverage computed exactly: the probability of every tally whose bound claims too much."""
    bounds = np.array([lower_bound(k, trials) for k in range(trials + 1)])
    for rate in np.concatenate([np.linspace(0, 1, 201), bounds]):
        claims_too_much = bounds > rate
        probability = stats.binom.pmf(np.arange(trials + 1), trials, rate)[claims_too_much].sum()
        assert probability <= ALPHA + 1e-12
    just_below = np.nextafter(bounds[-1], 0) - 1e-12
    assert stats.binom.pmf(trials, trials, just_below) == pytest.approx(ALPHA, rel=1e-6)


@pytest.mark.parametrize(
    ("right", "shown", "confidence", "key"),
    [
        (-1, 5, 0.9, "successes: -1 "),
        (6, 5, 0.9, "successes: 6 "),
        (1, 5, 1.0, "confidence: 1.0 "),
        (1, 5, 0.0, "confidence: 0.0 "),
    ],
)
def test_impossible_tallies_are_refused(
    right: int, shown: int, confidence: float, key: str
) -> None:
    for bound in (lower_bound, upper_bound):
        with pytest.raises(ValueError, match=f"^{key}"):
            bound(right, shown, confidence)


# Looking more than once


def false_solves(success: float, shown: int, confidences: list[float]) -> list[float]:
    """Per look, the probability that a member of just less than ``success`` passes it."""
    needed = [successes_needed(shown, success, confidence) for confidence in confidences]
    return [0.0 if k is None else float(stats.binom.sf(k - 1, shown, success)) for k in needed]


@pytest.mark.parametrize("success", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("shown", [64, 512, 5000])
def test_many_looks_together_err_in_at_most_five_percent(success: float, shown: int) -> None:
    """However the looks depend on each other: the sum bounds the union."""
    spent = false_solves(success, shown, [look_confidence(look + 1) for look in range(LOOKS)])
    assert sum(spent) <= ALPHA
    for look, error in enumerate(spent, start=1):
        assert error <= ALPHA / (look * (look + 1)) * (1 + 1e-9)


def test_without_spending_many_looks_would_err() -> None:
    """What the schedule is for: the same member, each look at full confidence."""
    naive = false_solves(0.9, 512, [CONFIDENCE] * LOOKS)
    assert 1 - math.prod(1 - error for error in naive) > 0.7


def passed_by_a_finite_set(shown: int, allowed: list[int]) -> float:
    """Probability that some look passes, when all looks see the same held-out rows.

    The rows are of ``len(allowed)`` equally frequent sorts, and the weights at look i fail exactly
    on sort i: every look errs at the same rate, and a set poor in one sort is rich in others, the
    dependence that makes false passes add up most. Look i passes with at most ``allowed[i]`` rows
    of its sort; the counts are multinomial, so their joint law is summed up sort by sort.
    """
    sorts = len(allowed)
    log_factorial = np.array([math.lgamma(n + 1) for n in range(shown + 1)])
    term = np.exp(-log_factorial)
    ways = np.zeros(shown + 1)
    ways[0] = 1.0
    for most in allowed:
        too_many = np.where(np.arange(shown + 1) > most, term, 0.0)
        ways = np.convolve(ways, too_many)[: shown + 1]
    none_passes = ways[shown] * math.exp(log_factorial[shown] - shown * math.log(sorts))
    return float(1 - none_passes)


def test_looks_at_one_finite_set_err_in_at_most_five_percent() -> None:
    """Five looks at the same 100 rows by weights that are right in 80 %, where more is asked."""
    success = 0.8 + 1e-12

    def allowed(confidence: float) -> int:
        needed = successes_needed(100, success, confidence)
        assert needed is not None
        return 100 - needed

    spent = passed_by_a_finite_set(100, [allowed(look_confidence(i)) for i in range(1, 6)])
    naive = passed_by_a_finite_set(100, [allowed(CONFIDENCE)] * 5)
    assert 0.01 < spent <= ALPHA
    assert naive > 2 * ALPHA


def test_looks_never_run_out() -> None:
    """A member may look as often as its budget allows: no look is refused, each asks as much."""
    levels = [look_confidence(look) for look in (*range(1, 70), 1000, 5000)]
    assert levels == sorted(levels)
    assert levels[0] == pytest.approx(1 - ALPHA / 2)
    needed = [successes_needed(512, 0.9, level) or math.inf for level in levels]
    assert needed == sorted(needed)
    assert needed[-1] <= 512


def test_looks_count_from_one() -> None:
    with pytest.raises(ValueError, match=r"^look: 0 "):
        look_confidence(0)


# How many it takes


@given(st.integers(1, 300), successes, confidences)
def test_successes_needed_are_the_fewest(trials: int, success: float, confidence: float) -> None:
    enough = [k for k in range(trials + 1) if lower_bound(k, trials, confidence) >= success]
    assert successes_needed(trials, success, confidence) == min(enough, default=None)


def test_just_the_success_that_all_establish_takes_all() -> None:
    assert successes_needed(14, lower_bound(14, 14)) == 14
    assert successes_needed(14, math.nextafter(lower_bound(14, 14), 1)) is None
    assert successes_needed(14, 0.0) == 0


def test_no_trials_establish_nothing() -> None:
    assert successes_needed(0, 0.5) is None


@given(successes | st.floats(0.01, 0.99), confidences)
def test_trials_needed_are_the_fewest(success: float, confidence: float) -> None:
    fewest = next(n for n in count(1) if lower_bound(n, n, confidence) >= success)
    assert trials_needed(success, confidence) == fewest
    # within rounding of the closed form, success**n <= alpha
    assert success**fewest <= (1 - confidence) * (1 + 1e-9)


@pytest.mark.parametrize(("success", "fewest"), [(0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_trials_needed_by_hand(success: float, fewest: int) -> None:
    assert trials_needed(success) == fewest


@pytest.mark.parametrize("success", [0.0, 1.0, -1.0, 2.0])
def test_a_success_that_no_trials_establish_is_refused(success: float) -> None:
    with pytest.raises(ValueError, match=f"^success: {success} "):
        trials_needed(success)
