"""Rungs that are skipped: which, and what they count as."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.test_ladder import SUCCESS, Recorder, ladders
from tests.trainables.training.stand_ins import ladder
from trainables.measure.ladder import Rule, climb, ended_by, passed_rungs, progress, rungs
from trainables.measure.ladder_config import LadderConfig

LAGS = rungs(8, 2**20, 2)


def climbed(hard_from: int, memory: int, members: int = 3, quorum: int = 3) -> tuple[int, ...]:
    """Rungs passed where those below ``hard_from`` are solved within 50 sequences, by all."""
    asked = Recorder(
        lambda lag, member: lag <= memory,
        lambda lag, member: 50 if lag < hard_from else 51,
    )
    return climb(asked, LAGS, Rule(members, quorum, at_once=50)).passed


def test_easy_rungs_cost_half_and_hard_ones_are_all_climbed() -> None:
    assert climbed(2**21, 2**21) == tuple(2**k for k in (3, 5, 7, 9, 11, 13, 15, 17, 19, 20))
    assert climbed(2**12, 2**21) == tuple(2**k for k in (3, 5, 7, 9, 11, *range(13, 21)))
    assert climbed(8, 2**21) == LAGS


def test_the_reach_is_a_rung_that_was_tried() -> None:
    """A memory of 100 steps: 128 fails after 32; 64 was skipped and is nobody's reach."""
    assert climbed(2**21, 100) == (8, 32)
    assert climbed(32, 100) == (8, 32, 64)


def test_one_slow_member_is_enough_to_skip_none() -> None:
    slow = Recorder(lambda lag, m: True, lambda lag, m: 51 if m == 2 else 1)
    assert climb(slow, LAGS, Rule(3, 3, at_once=50)).passed == LAGS


def test_a_member_that_failed_is_enough_to_skip_none() -> None:
    leaves = Recorder(lambda lag, m: m < 2 or lag < 8, lambda lag, m: 1)
    assert climb(leaves, LAGS, Rule(3, 2, at_once=50)).passed[:3] == (8, 16, 64)


def test_without_it_none_is_skipped_whatever_they_cost() -> None:
    free = Recorder(lambda lag, m: True, lambda lag, m: 0)
    assert climb(free, LAGS, Rule(2, 2)).passed == LAGS


@given(ladders, st.integers(1, 4), st.integers(0, 6000), st.randoms(use_true_random=False))
def test_what_was_seen_so_far_says_the_same_as_the_climb(
    lags: tuple[int, ...], quorum: int, memory: int, random: object
) -> None:
    """Passed, how it ended, and progress, which rises from outcome to outcome."""
    draw = random.random  # type: ignore[attr-defined]
    taken = {(lag, m): int(100 * draw()) for lag in lags for m in range(4)}
    asked = Recorder(lambda lag, m: lag <= memory, lambda lag, m: taken[lag, m])
    rule = Rule(4, quorum, at_once=80)
    whole = climb(asked, lags, rule)
    assert passed_rungs(whole.outcomes, lags, rule) == whole.passed
    assert ended_by(whole.outcomes, lags, rule) == whole.ended_by
    so_far = [
        progress(whole.outcomes[:n], lags, rule, SUCCESS) for n in range(len(whole.outcomes) + 1)
    ]
    assert so_far == sorted(so_far)
    assert max(lags, default=0) != whole.reach or whole.censored
    if whole.censored:
        assert so_far[-1] == math.log2(lags[-1])
    elif whole.reach:
        assert math.log2(whole.reach) <= so_far[-1]


def test_a_rung_that_was_tried_all_the_same_counts() -> None:
    """The top of a shorter ladder, which was made longer: it is not skipped afterwards."""
    rule = Rule(1, 1, at_once=50)
    short = climb(Recorder(lambda lag, m: True, lambda lag, m: 1), rungs(8, 64, 2), rule)
    assert short.passed == (8, 32, 64)
    assert passed_rungs(short.outcomes, LAGS, rule) == (8, 32, 64)


def test_a_spec_says_it_as_a_part_of_the_budget() -> None:
    assert ladder(sequences=2000, skip=0.02).rule.at_once == 40
    assert ladder(sequences=2000).rule.at_once == 0
    assert "skip" not in LadderConfig().model_dump()
    assert ladder(skip=0.02).of_every_rung == ladder()
    assert LadderConfig(stop=2**24).rungs[-1] == 2**24
    with pytest.raises(ValueError, match="skip"):
        ladder(skip=0)
