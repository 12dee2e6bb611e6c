"""Certificates: when fresh members have shown that an architecture learns a lag reliably.

A candidate's members are independent and fresh. Each climbs the ladder alone, from its first rung,
and has *learned* lag L if it solved every rung up to L. With q(L) the probability of that, the
claim is q(L) >= reliability. Everything here is pure: how a member climbs is the caller's.

Each rung is tested by one exact binomial test with its plan fixed beforehand (Clopper & Pearson
1934). The rungs are tested from the first upwards until one fails, each at the candidate's whole
error: a fixed sequence (Maurer et al. 1995; Westfall & Krishen 2001) spends no error on the number
of its steps. The same members serve all rungs. Several candidates share the error evenly
(Bonferroni). Candidates that are tried one after another, for as long as it takes, have parts of
the error that add up to it however many there are: the one whose turn is i has 1 / (i (i + 1)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.measure.reliability import lower_bound


@dataclass(frozen=True)
class Plan:
    """How many fresh members of a candidate are tried, and how many of them may fail.

    Attributes:
        reliability: the probability of learning that is to be established, for each candidate
        confidence: of all candidates' claims together
        members: tried at most for each candidate; exactly as many where a rung is passed
        failures: allowed among them
        candidates: that share the error 1 - confidence, or the part of it that is theirs
        turn: i, where candidates are tried one after another; 0 where there are no others
    """

    reliability: float
    confidence: float
    members: int
    failures: int
    candidates: int = 1
    turn: int = 0

    @property
    def needed(self) -> int:
        """Members that must have learned a lag."""
        return self.members - self.failures

    @property
    def candidate_confidence(self) -> float:
        """The confidence of one candidate's claim."""
        parts = self.turn * (self.turn + 1) if self.turn else 1
        return 1 - (1 - self.confidence) / (self.candidates * parts)

    def power(self, probability: float) -> float:
        """How likely a candidate passes whose members learn the lag with ``probability``."""
        from scipy.stats import binom  # takes long to import, and no search asks

        return float(binom.cdf(self.failures, self.members, 1 - probability))


def plan_for(
    reliability: float, confidence: float, failures: int = 0, candidates: int = 1, turn: int = 0
) -> Plan:
    """The smallest plan that establishes ``reliability`` with ``failures`` allowed.

    Its members n are the fewest with P(Bin(n, reliability) >= n - failures) at most the
    candidate's part of the error.

    Raises:
        ValueError: if an argument is out of range.
    """
    for name, value in (("reliability", reliability), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ValueError(f"{name}: {value} is not allowed; it lies between 0 and 1")
    if failures < 0:
        raise ValueError(f"failures: {failures} is not allowed; it is at least 0")
    if candidates < 1:
        raise ValueError(f"candidates: {candidates} is not allowed; it is at least 1")
    if turn < 0:
        raise ValueError(f"turn: {turn} is not allowed; it is at least 0")

    def plan(members: int) -> Plan:
        return Plan(reliability, confidence, members, failures, candidates, turn)

    def establishes(members: int) -> bool:
        level = plan(members).candidate_confidence
        return lower_bound(members - failures, members, level) >= reliability

    low, high = failures, failures + 1  # no plan of ``low`` members establishes it
    while not establishes(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if establishes(middle) else (middle, high)
    return plan(high)


Reaches = Mapping[int, int]
"""By member, the longest lag that it learned, 0 for none; of the members that have ended."""


@dataclass(frozen=True)
class Verdict:
    """What a candidate's members say of one rung.

    Attributes:
        tried: members counted, in the order of their numbers, until the rung was decided
        solved: of those, how many learned the lag
        passed: None while the rung is undecided
    """

    lag: int
    tried: int
    solved: int
    passed: bool | None


def verdict(lag: int, plan: Plan, reaches: Reaches) -> Verdict:
    """Count members by number until more than the allowed failures, or the whole plan, are seen.

    What it says does not depend on which member ended first. A member that was sent no further
    than a shorter lag counts as a failure here, but only ever after the rung has failed (`goal`).
    """
    solved = 0
    for member in range(plan.members):
        if member not in reaches:
            return Verdict(lag, member, solved, None)
        solved += reaches[member] >= lag
        if member + 1 - solved > plan.failures:
            return Verdict(lag, member + 1, solved, False)
    return Verdict(lag, plan.members, solved, True)


def verdicts(lags: Sequence[int], plan: Plan, reaches: Reaches) -> tuple[Verdict, ...]:
    """The fixed sequence: the rungs from the first on, up to the first that is not passed."""
    found: list[Verdict] = []
    for lag in lags:
        found.append(verdict(lag, plan, reaches))
        if not found[-1].passed:
            break
    return tuple(found)


def certified_lag(found: Sequence[Verdict]) -> int:
    """The last rung that was passed, or 0."""
    return max((v.lag for v in found if v.passed), default=0)


def goal(member: int, lags: Sequence[int], plan: Plan, reaches: Reaches) -> int:
    """The longest lag that ``member`` is worth sending to: 0 if it need not be run at all.

    It is the longest that the members with lower numbers have not brought down yet, so every
    member up to the one that brings a rung down has tried it, whatever the order they end in.
    """
    before = [reach for other, reach in reaches.items() if other < member]
    for lag in reversed(lags):
        if sum(reach < lag for reach in before) <= plan.failures:
            return lag
    return 0
