"""One search, played against the table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.replay.proposers import Proposer
from benchmarks.replay.trials import Policy, Trial
from search.scheduling.asha import StoppingRule
from search.scheduling.scheduler import RULES

REPORTS = 10
"""Of a member on a rung: the scheduler may stop a trial at each, as in a search."""

NEVER = math.inf


@dataclass
class Played:
    """What a search came to; `NEVER` where it found none.

    Attributes:
        best, near, certified: trials and GFLOP until the best trial of the table stood measured,
            one within a rung of it, and one whose fresh members all solved its reach
        gflop, seconds: of the whole search
    """

    best: tuple[float, float] = (NEVER, NEVER)
    near: tuple[float, float] = (NEVER, NEVER)
    certified: tuple[float, float] = (NEVER, NEVER)
    trials: int = 0
    gflop: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Aim:
    """What there is to find in a table."""

    best: float
    near: float

    @classmethod
    def of(cls, trials: list[Trial]) -> Aim:
        """The highest outcome, and the rung below its reach."""
        first = max(trials, key=lambda trial: trial.outcome)
        rungs = first.ladder.rungs
        at = [rung for rung in rungs if math.log2(rung) <= first.outcome]
        below = at[-2] if len(at) > 1 else 1
        return cls(first.outcome, math.log2(below))

    def note(self, played: Played, trial: Trial) -> None:
        """A trial was measured whole."""
        now = (played.trials, played.gflop)
        if trial.outcome >= self.best:
            played.best = min(played.best, now)
        if trial.outcome >= self.near:
            played.near = min(played.near, now)
        if trial.certified:
            played.certified = min(played.certified, now)


def play(
    proposer: Proposer,
    policy: Policy,
    rule: StoppingRule | None,
    aim: Aim,
    trials: int,
) -> Played:
    """One worker, one trial after the other, until ``trials`` have ended."""
    played, best = Played(), -1.0
    while played.trials < trials and (trial := proposer.next()) is not None:
        played.trials += 1
        value, whole = _run(trial, policy, rule, best, played)
        if whole:
            best = max(best, trial.outcome)
            value = trial.outcome
            aim.note(played, trial)
        proposer.told(trial, value)
    return played


def _run(
    trial: Trial, policy: Policy, rule: StoppingRule | None, best: float, played: Played
) -> tuple[float, bool]:
    """The last value that was shown, and whether the trial was measured whole."""
    spent = value = expected = 0.0
    needed = sum(row.training_gflop for row in trial.climbed())
    for step in policy(trial, best):
        for part in range(1, REPORTS + 1):
            cost = spent + step.gflop * part / REPORTS
            if part == REPORTS:
                value, expected = step.value, step.expected
            if rule is not None and not rule.goes_on(trial.number, cost, expected):
                played.gflop += cost
                played.seconds += step.seconds * part / REPORTS
                return value, False
        spent += step.gflop
        played.seconds += step.seconds
    played.gflop += spent
    return value, spent >= needed * (1 - 1e-9)


def first_rung_then(proposer: Proposer, kept: int, aim: Aim, trials: int) -> Played:
    """All trials climb the first rung; the ``kept`` best of them go on, the best first."""
    played, shown = Played(), []
    while played.trials < trials and (trial := proposer.next()) is not None:
        played.trials += 1
        first = [row for row in trial.climbed() if row.lag == trial.ladder.start]
        spent = sum(row.training_gflop for row in first)
        played.gflop += spent
        played.seconds += sum(row.seconds for row in first)
        solved = sum(row.solved for row in first)
        rate = sum(row.success_rate for row in first)
        shown.append((-solved, spent if solved == len(first) else -rate, trial.number, trial))
        proposer.told(trial, min(trial.outcome, math.log2(trial.ladder.start)))
    for _, _, _, trial in sorted(shown, key=lambda each: each[:3])[:kept]:
        rest = [row for row in trial.climbed() if row.lag > trial.ladder.start]
        played.gflop += sum(row.training_gflop for row in rest)
        played.seconds += sum(row.seconds for row in rest)
        aim.note(played, trial)
    return played


def rule_of(kind: str, first: float) -> Callable[[], StoppingRule | None]:
    """A scheduler of a spec, made anew for each search; None lets every trial climb."""
    return (lambda: RULES[kind](first)) if kind in RULES else (lambda: None)
