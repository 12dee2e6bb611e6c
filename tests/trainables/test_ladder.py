"""The ladder as an instrument: what it reads, and how often it asks."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.measure.ladder import (
    Climb,
    Rule,
    climb,
    ended_by,
    passed_rungs,
    rungs,
    solved_fraction,
)
from trainables.measure.records import EndedRung, MemberRung

SUCCESS = 0.9
UNSOLVED: tuple[EndedRung, ...] = ("budget", "stalled", "nan", "memory", "time", "length")

ladders = st.builds(
    lambda start, extra, ratio: rungs(start, start + extra, ratio),
    st.integers(2, 40),
    st.integers(0, 5000),
    st.sampled_from([1.05, 1.5, 2.0, 3.0, 4.0]),
)
rules = st.integers(1, 5).flatmap(lambda m: st.builds(Rule, st.just(m), st.integers(1, m)))
rates = st.floats(0, 1) | st.just(math.nan)


def outcome(
    lag: int,
    member: int,
    ended_by: EndedRung = "solved",
    rate: float = 1.0,
    sequences: int = 100,
) -> MemberRung:
    return MemberRung("recall", lag, member, ended_by, rate, rate, sequences=sequences)


class Recorder:
    """Attempts that follow ``solves`` and ``sequences``, and remember in which order they came."""

    def __init__(
        self,
        solves: Callable[[int, int], bool],
        sequences: Callable[[int, int], int] = lambda lag, member: 100,
    ) -> None:
        self.solves, self.sequences = solves, sequences
        self.asked: list[tuple[int, int]] = []

    def __call__(self, lag: int, member: int) -> MemberRung:
        self.asked.append((lag, member))
        ended: EndedRung = "solved" if self.solves(lag, member) else "budget"
        return outcome(lag, member, ended, sequences=self.sequences(lag, member))


# The rungs


@pytest.mark.parametrize(
    ("start", "stop", "ratio", "lags"),
    [
        (8, 4096, 2, (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)),
        (8, 100, 2, (8, 16, 32, 64, 100)),
        (8, 60, 1.5, (8, 12, 18, 27, 40, 60)),
        (2, 7, 1.1, (2, 3, 4, 5, 6, 7)),
        (5, 5, 2, (5,)),
        (2, 3, 7.5, (2, 3)),
    ],
)
def test_rungs_are_geometric_and_end_at_stop(
    start: int, stop: int, ratio: float, lags: tuple[int, ...]
) -> None:
    assert rungs(start, stop, ratio) == lags


@given(st.integers(2, 50), st.integers(0, 10_000), st.floats(1.01, 10))
def test_rungs_rise_from_start_to_stop_by_the_ratio(start: int, extra: int, ratio: float) -> None:
    lags = rungs(start, start + extra, ratio)
    assert (lags[0], lags[-1]) == (start, start + extra)
    for below, above in pairwise(lags):
        assert below < above
        # rounding moves either lag by at most a half, and a step of one is the least there is
        assert above <= max(below + 1, ratio * (below + 0.5) + 0.5)
    assert len(lags) <= 2 + math.log((start + extra) / start) / math.log(ratio)


@pytest.mark.parametrize(
    ("start", "stop", "ratio", "key"),
    [
        (1, 8, 2, "start: 1 "),
        (8, 7, 2, "stop: 7 "),
        (8, 16, 1, "ratio: 1 "),
        (8, 16, 1 + 1e-15, "ratio: 1.0"),
        (8, 16, math.nan, "ratio: nan "),
        (8, 16, math.inf, "ratio: inf "),
    ],
)
def test_a_ladder_that_cannot_be_climbed_is_refused(
    start: int, stop: int, ratio: float, key: str
) -> None:
    with pytest.raises(ValueError, match=f"^{key}") as error:
        rungs(start, stop, ratio)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("members", "quorum", "key"),
    [(0, 1, "members: 0 "), (3, 4, "quorum: 4 "), (3, 0, "quorum: 0 ")],
)
def test_a_rule_that_cannot_be_met_is_refused(members: int, quorum: int, key: str) -> None:
    with pytest.raises(ValueError, match=f"^{key}"):
        Rule(members, quorum)


# The instrument


@pytest.mark.parametrize("memory", [0, 7, 8, 9, 100, 511, 512, 513, 4095, 4096, 10**6])
@pytest.mark.parametrize(("start", "stop", "ratio"), [(8, 4096, 2), (8, 4096, 1.5), (2, 512, 4)])
def test_a_memory_of_w_steps_reads_the_largest_rung_at_or_below_w(
    memory: int, start: int, stop: int, ratio: float
) -> None:
    lags = rungs(start, stop, ratio)
    climbed = climb(Recorder(lambda lag, member: lag <= memory), lags, Rule(3, 2))
    assert climbed.reach == max((lag for lag in lags if lag <= memory), default=0)
    assert climbed.censored == (memory >= stop)


@given(ladders, rules, st.integers(0, 6000))
def test_any_ladder_and_rule_reads_a_memory_of_w_steps(
    lags: tuple[int, ...], rule: Rule, memory: int
) -> None:
    climbed = climb(Recorder(lambda lag, member: lag <= memory), lags, rule)
    rungs_held = bisect_right(lags, memory)
    assert climbed.passed == lags[:rungs_held]
    assert climbed.reach == (lags[rungs_held - 1] if rungs_held else 0)
    assert climbed.censored == (rungs_held == len(lags))
    assert climbed.ended_by == ("top" if climbed.censored else "failed_rung")


@given(ladders, rules, st.data())
def test_members_that_differ_read_what_the_quorum_holds(
    lags: tuple[int, ...], rule: Rule, data: st.DataObject
) -> None:
    """With memories of w_1 .. w_M steps, the reach is that of the quorum-th largest memory."""
    memories = data.draw(
        st.lists(st.integers(0, 6000), min_size=rule.members, max_size=rule.members)
    )
    climbed = climb(Recorder(lambda lag, member: lag <= memories[member]), lags, rule)
    held = sorted(memories, reverse=True)[rule.quorum - 1]
    assert climbed.reach == max((lag for lag in lags if lag <= held), default=0)


# How a climb goes


@given(ladders, rules, st.randoms(use_true_random=False))
def test_rungs_come_breadth_first_each_member_once(
    lags: tuple[int, ...], rule: Rule, random: Random
) -> None:
    solves = {key: random.random() < 0.8 for key in product(lags, range(rule.members))}
    recorder = Recorder(lambda lag, member: solves[lag, member])
    climb(recorder, lags, rule)
    asked_lags = [lag for lag, _ in recorder.asked]
    assert asked_lags == sorted(asked_lags)
    assert len(set(recorder.asked)) == len(recorder.asked)


@given(rules, st.data())
def test_a_rung_stops_once_its_quorum_is_out_of_reach_and_not_before(
    rule: Rule, data: st.DataObject
) -> None:
    solves = data.draw(st.lists(st.booleans(), min_size=rule.members, max_size=rule.members))
    recorder = Recorder(lambda lag, member: solves[member])
    climbed = climb(recorder, (8,), rule)
    failed = [member for member, solved in enumerate(solves) if not solved]
    one_too_many = failed[rule.members - rule.quorum :]
    assert len(recorder.asked) == (one_too_many[0] + 1 if one_too_many else rule.members)
    assert climbed.censored == (not one_too_many)


@given(ladders, rules, st.randoms(use_true_random=False))
def test_outcomes_alone_tell_how_a_climb_ended(
    lags: tuple[int, ...], rule: Rule, random: Random
) -> None:
    """And that it was not over: before the attempt that decided, it had not ended."""
    solves = {key: random.random() < 0.7 for key in product(lags, range(rule.members))}
    climbed = climb(Recorder(lambda lag, member: solves[lag, member]), lags, rule)
    assert ended_by(climbed.outcomes, lags, rule) == climbed.ended_by
    if not climbed.censored:
        assert ended_by(climbed.outcomes[:-1], lags, rule) is None


def test_an_architecture_that_cannot_learn_costs_one_attempt_when_all_must_solve() -> None:
    recorder = Recorder(lambda lag, member: False)
    climb(recorder, (8, 16), Rule(14, 14))
    assert recorder.asked == [(8, 0)]


def test_members_that_fail_a_rung_leave() -> None:
    recorder = Recorder(lambda lag, member: member != 1)
    climb(recorder, (8, 16, 32), Rule(3, 2))
    assert recorder.asked == [(8, 0), (8, 1), (8, 2), (16, 0), (16, 2), (32, 0), (32, 2)]


def test_too_few_standing_end_the_climb_without_an_attempt() -> None:
    """Two of three solved the first rung and one of them fails the second: no third is asked."""
    solved = {(8, 0), (8, 2), (16, 2)}
    recorder = Recorder(lambda lag, member: (lag, member) in solved)
    climbed = climb(recorder, (8, 16, 32), Rule(3, 2))
    assert recorder.asked == [(8, 0), (8, 1), (8, 2), (16, 0)]
    assert (climbed.reach, climbed.passed, climbed.ended_by) == (8, (8,), "failed_rung")


def test_the_slowest_of_the_rung_before_goes_first() -> None:
    spent: Mapping[tuple[int, int], int] = {
        (8, 0): 100, (8, 1): 300, (8, 2): 200,
        (16, 0): 900, (16, 1): 500, (16, 2): 500,
        (32, 0): 1, (32, 1): 1, (32, 2): 1,
    }  # fmt: skip
    recorder = Recorder(lambda lag, member: True, lambda lag, member: spent[lag, member])
    climb(recorder, (8, 16, 32), Rule(3, 3))
    assert [member for _, member in recorder.asked] == [0, 1, 2, 1, 2, 0, 0, 1, 2]


@pytest.mark.parametrize("cause", UNSOLVED)
def test_a_climb_that_fails_alike_says_how(cause: EndedRung) -> None:
    climbed = climb(lambda lag, member: outcome(lag, member, cause, 0), (8,), Rule(3, 1))
    assert climbed.ended_by == (cause if cause in ("memory", "time", "length") else "failed_rung")
    assert ended_by(climbed.outcomes, (8,), Rule(3, 1)) == climbed.ended_by


def test_a_climb_that_fails_for_several_reasons_is_a_failed_rung() -> None:
    causes: tuple[EndedRung, ...] = ("memory", "time", "memory")
    climbed = climb(lambda lag, member: outcome(lag, member, causes[member]), (8,), Rule(3, 1))
    assert climbed.ended_by == "failed_rung"


def test_an_earlier_loss_of_a_member_does_not_colour_the_end() -> None:
    """A member out of memory on a passed rung is no reason for a later failure."""

    def attempt(lag: int, member: int) -> MemberRung:
        if lag == 8 and member == 0:
            return outcome(lag, member, "memory", 0)
        return outcome(lag, member, "solved" if lag == 8 else "time", 0)

    assert climb(attempt, (8, 16), Rule(3, 2)).ended_by == "time"


def test_an_answer_for_another_attempt_is_refused() -> None:
    with pytest.raises(ValueError, match="answered for another"):
        climb(lambda lag, member: outcome(lag, member + 1), (8,), Rule(2, 1))


@given(ladders, rules, st.randoms(use_true_random=False))
def test_a_climb_cut_off_anywhere_shows_the_rungs_it_had_passed(
    lags: tuple[int, ...], rule: Rule, random: Random
) -> None:
    climbed = random_climb(lags, rule, random)
    assert passed_rungs(climbed.outcomes, lags, rule) == climbed.passed
    for count in range(len(climbed.outcomes)):
        early = passed_rungs(climbed.outcomes[:count], lags, rule)
        assert early == climbed.passed[: len(early)]


def test_a_rung_above_a_failed_one_is_not_passed() -> None:
    assert passed_rungs([outcome(8, 0, "budget"), outcome(16, 0)], (8, 16), Rule(1, 1)) == ()


def test_solved_fraction_counts_all_members_tried_or_not() -> None:
    tried = [outcome(8, 0), outcome(8, 1), outcome(16, 0, "budget"), outcome(16, 1)]
    assert solved_fraction(tried, Rule(4, 2)) == {8: 0.5, 16: 0.25}


def random_climb(lags: tuple[int, ...], rule: Rule, random: Random) -> Climb:
    def attempt(lag: int, member: int) -> MemberRung:
        solved = random.random() < 0.85
        rate = random.choice([0.0, 0.3, 0.89, 0.9, 1.0, math.nan])
        ended: EndedRung = "solved" if solved else random.choice(UNSOLVED)
        return outcome(lag, member, ended, 1.0 if solved else rate, random.randint(1, 1000))

    return climb(attempt, lags, rule)
