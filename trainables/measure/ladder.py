"""The ladder of lags, climbed breadth first: rungs, reach and progress.

Everything here is pure: what it means to attempt a rung is the caller's. A *member* is one
independently initialised copy of an architecture; a *rung* is one lag. All members stand on a rung
before any goes on to the next, so that a trial never pays for one lucky member's climb, and a rung
ends as soon as its quorum can no longer be met.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trainables.measure.records import MemberRung

EndedClimb = Literal["top", "failed_rung", "memory", "time", "length"]
"""How a climb ended: at the ladder's top (censored), or below it for the reason named."""


def rungs(start: int, stop: int, ratio: float) -> tuple[int, ...]:
    """Rising lags from ``start`` by ``ratio``, rounded; the last is exactly ``stop``.

    Raises:
        ValueError: if ``start`` < 2, ``stop`` < ``start`` or ``ratio`` < 1.01.

    """
    if start < 2:
        raise ValueError(f"start: {start} is not allowed; the first lag is at least 2")
    if stop < start:
        raise ValueError(f"stop: {stop} is not allowed; it must be at least start ({start})")
    if not ratio >= 1.01 or not math.isfinite(ratio):
        raise ValueError(f"ratio: {ratio} is not allowed; it must be finite and at least 1.01")
    lags, exact = [start], start * ratio
    while exact < stop:
        if round(exact) > lags[-1]:
            lags.append(round(exact))
        exact *= ratio
    if lags[-1] < stop:
        lags.append(stop)
    return tuple(lags)


@dataclass(frozen=True)
class Rule:
    """When a rung is passed: at least ``quorum`` of ``members`` solve it.

    Attributes:
        at_once: training sequences within which a member solves a rung *at once*: where all that
            tried one did, the next is skipped, unless it is the last; 0 to skip none

    """

    members: int
    quorum: int
    at_once: int = 0

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members: {self.members} is not allowed; it is at least 1")
        if not 1 <= self.quorum <= self.members:
            raise ValueError(
                f"quorum: {self.quorum} is not allowed; it lies between 1 and members "
                f"({self.members})"
            )

    def next_rung(
        self, tried: Iterable[MemberRung], passed: Sequence[int], lags: Sequence[int]
    ) -> int | None:
        """The rung after those that were ``passed``, by what came of the last; None at the top.

        One that was tried all the same, where the ladder was shorter or by another rule, is next.
        """
        if not passed:
            return lags[0]
        place = lags.index(passed[-1]) + 1
        if place >= len(lags) - 1 or not self.at_once:
            return lags[place] if place < len(lags) else None
        rows = list(tried)
        last = [row for row in rows if row.lag == passed[-1]]
        solved_at_once = all(row.solved and row.sequences <= self.at_once for row in last)
        skips = solved_at_once and all(row.lag != lags[place] for row in rows)
        return lags[place + skips]


@dataclass(frozen=True)
class Climb:
    """A finished climb.

    Attributes:
        reach: largest passed rung below the first failed one; 0 if the first rung failed
        passed: every passed rung, ascending
        ended_by: how it ended; ``top`` means that reach is censored: "at least"

    """

    reach: int
    passed: tuple[int, ...]
    ended_by: EndedClimb
    outcomes: tuple[MemberRung, ...]

    @property
    def censored(self) -> bool:
        """Whether the ladder ended before the architecture did."""
        return self.ended_by == "top"


UNDECIDED = 1 - 1e-6
"""Of a rung, the part that counts where it is open: one member short, it is 1 - 0.01 / quorum."""

Attempt = Callable[[int, int], MemberRung]
"""(lag, member) -> what came of it."""


def climb(attempt: Attempt, lags: Sequence[int], rule: Rule) -> Climb:
    """Climb ``lags`` breadth first, calling ``attempt(lag, member)`` as seldom as the rule allows.

    Members that fail a rung leave. Inside a rung the member that needed the most sequences on the
    rung before goes first, so that a failure shows early; the first rung goes by number.
    """
    outcomes: list[MemberRung] = []
    standing = list(range(rule.members))
    passed: list[int] = []
    while (lag := rule.next_rung(outcomes, passed, lags)) is not None:
        solved: list[MemberRung] = []
        for waiting, member in zip(range(len(standing), 0, -1), standing, strict=True):
            if len(solved) + waiting < rule.quorum:
                break
            outcome = attempt(lag, member)
            if (outcome.lag, outcome.member) != (lag, member):
                raise ValueError(f"attempt({lag}, {member}) answered for another: {outcome}")
            outcomes.append(outcome)
            if outcome.solved:
                solved.append(outcome)
        if len(solved) < rule.quorum:
            return Climb(reach(passed), tuple(passed), _failure(lag, outcomes), tuple(outcomes))
        passed.append(lag)
        standing = [o.member for o in sorted(solved, key=lambda o: (-o.sequences, o.member))]
    return Climb(reach(passed), tuple(passed), "top", tuple(outcomes))


def reach(passed: Sequence[int]) -> int:
    """The last passed rung, or 0."""
    return passed[-1] if passed else 0


def passed_rungs(
    outcomes: Iterable[MemberRung], lags: Sequence[int], rule: Rule
) -> tuple[int, ...]:
    """The rungs, from the first on, that ``outcomes`` show as passed; also of a climb cut off.

    Those that were skipped are not among them.
    """
    tried, passed = list(outcomes), list[int]()
    solved = [o.lag for o in tried if o.solved]
    while (lag := rule.next_rung(tried, passed, lags)) is not None:
        if solved.count(lag) < rule.quorum:
            break
        passed.append(lag)
    return tuple(passed)


def ended_by(outcomes: Iterable[MemberRung], lags: Sequence[int], rule: Rule) -> EndedClimb | None:
    """How the climb that the ``outcomes`` are of ended; None where that is open."""
    tried = list(outcomes)
    passed = passed_rungs(tried, lags, rule)
    lag = rule.next_rung(tried, passed, lags)
    if lag is None:
        return "top"
    standing = sum(o.solved for o in tried if o.lag == reach(passed)) if passed else rule.members
    failed = sum(not o.solved for o in tried if o.lag == lag)
    return _failure(lag, tried) if standing - failed < rule.quorum else None


def _failure(lag: int, outcomes: Iterable[MemberRung]) -> EndedClimb:
    """Why the rung failed: by memory, time or length if every member that failed did so by that."""
    causes = {o.ended_by for o in outcomes if o.lag == lag and not o.solved}
    if causes == {"memory"}:
        return "memory"
    if causes == {"time"}:
        return "time"
    if causes == {"length"}:
        return "length"
    return "failed_rung"


def progress(
    outcomes: Iterable[MemberRung], lags: Sequence[int], rule: Rule, success: float
) -> float:
    """log2(reach) plus what was achieved of the failing rung, in doublings of the lag.

    The first rung counts from lag 1, so a trial that passes nothing scores between 0 and
    log2(start). On a rung a member that solved it achieved 1; one that did not, what it showed
    beyond chance, below 1 (`achieved`); the rung's share is the mean of the best ``quorum``
    members. Members that curtailment left out count as the others do on the mean, and those that
    may still come as 0. Adding an outcome never lowers the number, and no failing rung scores as
    passed.
    """
    tried = list(outcomes)
    if ended_by(tried, lags, rule) is not None:
        return expected_progress(tried, lags, rule, success)
    below, lag, best = _on_the_rung(tried, lags, rule, success)
    return math.log2(below) + sum(best) / rule.quorum * math.log2(lag / below)


def expected_progress(
    outcomes: Iterable[MemberRung], lags: Sequence[int], rule: Rule, success: float
) -> float:
    """`progress`, if the members still to come did as those on the rung did on the mean.

    By it trials on their way are compared: a rung that has failed and one that is open count alike
    where as much was achieved. It may fall as well as rise.
    """
    below, lag, best = _on_the_rung(list(outcomes), lags, rule, success)
    return math.log2(below) + sum(best) / max(1, len(best)) * math.log2(lag / below)


def _on_the_rung(
    tried: Sequence[MemberRung], lags: Sequence[int], rule: Rule, success: float
) -> tuple[int, int, list[float]]:
    """The reach, at least 1; the rung after it, if any, or it; what the best achieved there."""
    passed = passed_rungs(tried, lags, rule)
    below = reach(passed) or 1
    lag = rule.next_rung(tried, passed, lags) or below
    at = sorted((achieved(o, success) for o in tried if o.lag == lag), reverse=True)
    return below, lag, at[: rule.quorum]


def open_progress(
    outcomes: Iterable[MemberRung], lags: Sequence[int], rule: Rule, success: float
) -> float:
    """`progress`, where nothing has failed the rung after the reach: above what fails it.

    A reach of 0 bounds nothing.
    """
    tried = list(outcomes)
    score, passed = progress(tried, lags, rule, success), passed_rungs(tried, lags, rule)
    if not passed or ended_by(tried, lags, rule) is not None:
        return score
    step = math.log2((rule.next_rung(tried, passed, lags) or passed[-1]) / passed[-1])
    return max(score, math.log2(passed[-1]) + UNDECIDED * step)


def achieved(outcome: MemberRung, success: float) -> float:
    """What a member achieved of a rung: 1 if it solved it, else from 0 to 0.99.

    The mean of what it showed beyond chance by whole sequences and by single answers, each as a
    part of what there is between chance and the ``success`` asked for. Sequences of many answers
    are right only at the end of learning, their answers long before.
    """
    if outcome.solved:
        return 1.0
    asked = outcome.asked or success
    by_sequence = _beyond(outcome.success_rate, outcome.chance**outcome.answers, asked)
    if not outcome.answers:  # an earlier version measured, or no look was taken
        by_sequence = _beyond(outcome.success_rate, 0.0, asked)
        return min(0.99, by_sequence)
    by_answer = _beyond(outcome.answer_rate, outcome.chance, asked)
    return min(0.99, (by_sequence + by_answer) / 2)


def _beyond(rate: float, chance: float, asked: float) -> float:
    """The part of the way from chance to what is asked, in [0, 1]; 0 where there is none."""
    if not math.isfinite(rate) or chance >= asked:
        return 0.0
    return max(0.0, min(1.0, (rate - chance) / (asked - chance)))


def solved_fraction(outcomes: Iterable[MemberRung], rule: Rule) -> Mapping[int, float]:
    """Per lag attempted, the share of all members that solved it."""
    counts: dict[int, int] = {}
    for outcome in outcomes:
        counts[outcome.lag] = counts.get(outcome.lag, 0) + outcome.solved
    return {lag: count / rule.members for lag, count in sorted(counts.items())}
