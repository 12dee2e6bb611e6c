"""Certificates' statistics: plans by brute force, error rates exactly and by simulation."""

from __future__ import annotations

from itertools import permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.measure.certificate import (
    Plan,
    Verdict,
    certified_lag,
    goal,
    plan_for,
    verdict,
    verdicts,
)
from trainables.measure.reliability import lower_bound

LAGS = (8, 16, 32, 64)


def passes(members: int, failures: int, probability: float) -> float:
    """P(at most ``failures`` of ``members`` fail), summed by hand."""
    q = 1 - probability
    return sum(comb(members, k) * q**k * probability ** (members - k) for k in range(failures + 1))


# Plans


@pytest.mark.parametrize("reliability", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("failures", [0, 1, 2, 5])
@pytest.mark.parametrize("candidates", [1, 3])
def test_a_plan_is_the_smallest_that_keeps_the_error(
    reliability: float, confidence: float, failures: int, candidates: int
) -> None:
    error = (1 - confidence) / candidates
    smallest = failures + 1
    while passes(smallest, failures, reliability) > error:
        smallest += 1
    plan = plan_for(reliability, confidence, failures, candidates)
    assert plan.members == smallest
    assert plan.needed == smallest - failures


@pytest.mark.parametrize(("failures", "members"), [(0, 14), (1, 22), (2, 30), (3, 37), (4, 44)])
def test_the_plans_of_the_documents(failures: int, members: int) -> None:
    assert plan_for(0.8, 0.95, failures).members == members


def test_a_plan_asks_for_no_more_than_the_reliability_and_allows_no_failure_unasked() -> None:
    """Fourteen of fourteen establish their lower bound itself, and not a hair more."""
    just = lower_bound(14, 14, Plan(0.8, 0.95, 14, 0).candidate_confidence)
    assert plan_for(just, 0.95) == Plan(just, 0.95, 14, 0, 1)
    assert plan_for(just + 1e-12, 0.95).members == 15


def test_power_is_the_probability_of_passing() -> None:
    plan = plan_for(0.8, 0.95, 1)
    assert plan.power(0.95) == pytest.approx(passes(22, 1, 0.95))
    assert plan.power(0.8) <= 0.05


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((1.2, 0.95), "reliability: 1.2"),
        ((0.0, 0.95), "reliability: 0.0"),
        ((1.0, 0.95), "reliability: 1.0"),
        ((0.8, 0.0), "confidence: 0.0"),
        ((0.8, 1.0), "confidence: 1.0"),
        ((0.8, 0.95, -1), "failures: -1"),
        ((0.8, 0.95, 0, 0), "candidates: 0"),
    ],
)
def test_what_no_plan_is_made_for(arguments: tuple[float, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        plan_for(*arguments)  # type: ignore[arg-type]


# One rung


PLAN = Plan(0.5, 0.5, members=5, failures=1)

reaches_of_five = st.lists(st.sampled_from([0, *LAGS]), min_size=5, max_size=5)


@given(reaches_of_five, st.sampled_from(LAGS))
def test_a_rung_is_decided_as_by_the_whole_plan(reaches: list[int], lag: int) -> None:
    """Curtailment changes when a failure is known, never what is decided."""
    found = verdict(lag, PLAN, dict(enumerate(reaches)))
    solved = sum(reach >= lag for reach in reaches)
    assert found.passed is (solved >= PLAN.needed)
    if found.passed:
        assert (found.tried, found.solved) == (5, solved)
    else:
        assert found.tried - found.solved == PLAN.failures + 1
        assert reaches[found.tried - 1] < lag, "it stops at the failure that decides"


def test_a_member_that_is_missing_leaves_a_rung_undecided() -> None:
    assert verdict(8, PLAN, {0: 8, 2: 0, 3: 0}) == Verdict(8, tried=1, solved=1, passed=None)
    assert verdict(8, PLAN, {0: 8, 1: 8, 2: 8, 3: 8}).passed is None
    assert verdict(8, PLAN, {0: 0, 1: 0}).passed is False


# The ladder


def run_in_order(truth: list[int], order: tuple[int, ...]) -> dict[int, int]:
    """Start every member at once, as far as is worth it, and let them end in ``order``."""
    reaches: dict[int, int] = {}
    for member in order:
        top = goal(member, LAGS, PLAN, reaches)
        if top:
            reaches[member] = min(truth[member], top)
    return reaches


@given(reaches_of_five)
def test_the_order_in_which_members_end_changes_nothing(truth: list[int]) -> None:
    expected = verdicts(LAGS, PLAN, dict(enumerate(truth)))
    for order in permutations(range(5)):
        assert verdicts(LAGS, PLAN, run_in_order(truth, order)) == expected


@given(reaches_of_five, st.integers(0, 4))
def test_a_member_is_sent_as_far_as_a_rung_is_open(truth: list[int], member: int) -> None:
    before = dict(enumerate(truth[:member]))
    top = goal(member, LAGS, PLAN, before)
    for lag in LAGS:
        assert (verdict(lag, PLAN, before).passed is not False) == (lag <= top)


def test_a_member_is_sent_nowhere_once_every_rung_is_lost_by_others() -> None:
    """By those with lower numbers; what it did itself, or one after it, does not count."""
    assert goal(2, LAGS, PLAN, {0: 0, 1: 0}) == 0
    assert goal(1, LAGS, PLAN, {0: 0, 1: 0, 2: 0}) == 64


def test_the_sequence_ends_at_the_first_rung_that_fails() -> None:
    found = verdicts(LAGS, PLAN, {0: 16, 1: 64, 2: 8, 3: 64, 4: 16})
    assert [(v.lag, v.tried, v.solved, v.passed) for v in found] == [
        (8, 5, 5, True),
        (16, 5, 4, True),
        (32, 3, 1, False),
    ]
    assert certified_lag(found) == 16
    assert certified_lag(verdicts(LAGS, PLAN, {0: 0, 1: 0})) == 0


# Error rates


def over_claims(probabilities: np.ndarray, plan: Plan, runs: int, seed: int) -> np.ndarray:
    """Per run and candidate, whether the certified lag is beyond what is true.

    ``probabilities`` (candidates, rungs): of solving a rung, once there.
    """
    rng = np.random.default_rng(seed)
    learned = np.cumprod(probabilities, axis=1)
    true = [max((lag for lag, q in zip(LAGS, row, strict=True) if q >= plan.reliability), default=0)
            for row in learned]  # fmt: skip
    wrong = np.zeros((runs, len(probabilities)), dtype=bool)
    for run in range(runs):
        solved = rng.random((len(probabilities), plan.members, len(LAGS))) < probabilities[:, None]
        rungs = np.cumprod(solved, axis=2).sum(axis=2)
        for candidate, climbed in enumerate(rungs):
            reaches = {m: (0, *LAGS)[r] for m, r in enumerate(climbed)}
            claimed = certified_lag(verdicts(LAGS, plan, reaches))
            wrong[run, candidate] = claimed > true[candidate]
    return wrong


@pytest.mark.parametrize(
    "ladder",
    [(0.799, 1.0, 1.0, 1.0), (1.0, 1.0, 0.799, 1.0), (0.95, 0.92, 0.91, 0.9), (0.93,) * 4],
)
def test_a_ladder_of_rungs_keeps_the_error_of_one(ladder: tuple[float, ...]) -> None:
    """Wherever reliability is lost, at once or by and by, at most 5 % are certified too far."""
    wrong = over_claims(np.array([ladder]), plan_for(0.8, 0.95, 1), 2000, seed=7)
    assert wrong.mean() <= 0.05 + 2.5 * (0.05 * 0.95 / 2000) ** 0.5


def test_a_family_keeps_the_error_of_one() -> None:
    """Three candidates just short of reliable: any over-claim in at most 5 % of the families."""
    ladders = np.array([(0.799, 1.0, 1.0, 1.0)] * 3)
    shared = over_claims(ladders, plan_for(0.8, 0.95, 1, candidates=3), 2000, seed=8)
    assert shared.any(axis=1).mean() <= 0.05 + 2.5 * (0.05 * 0.95 / 2000) ** 0.5
    alone = over_claims(ladders, plan_for(0.8, 0.95, 1), 2000, seed=8)
    assert alone.any(axis=1).mean() > 0.1, "without sharing, the family errs far more often"
