"""One search, played against the table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.replay.proposers import Proposer
from benchmarks.replay.trials import Policy, Step, Trial
from search.scheduling.asha import SuccessiveHalving
from search.scheduling.scheduler import COSTS, RULES, VALUE, by_gflop, by_seconds

REPORTS = 10
"""Of a member on a rung: the scheduler may stop a trial at each, as in a search."""

NEVER = math.inf

Until = tuple[float, float, float]
"""Trials, GFLOP and seconds."""


@dataclass
class Played:
    """What a search came to; `NEVER` where it found none.

    Attributes:
        best, near, certified: trials, GFLOP and seconds until the best trial of the table stood
            measured, one within a rung of it, and one whose fresh members all solved its reach
        gflop, seconds: of the whole search
    """

    best: Until = (NEVER, NEVER, NEVER)
    near: Until = (NEVER, NEVER, NEVER)
    certified: Until = (NEVER, NEVER, NEVER)
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
        now = (played.trials, played.gflop, played.seconds)
        if trial.outcome >= self.best:
            played.best = min(played.best, now)
        if trial.outcome >= self.near:
            played.near = min(played.near, now)
        if trial.certified:
            played.certified = min(played.certified, now)


def play(
    proposer: Proposer,
    policy: Policy,
    scheduler: SuccessiveHalving | None,
    aim: Aim,
    trials: int,
) -> Played:
    """One worker, one trial after the other, until ``trials`` have ended."""
    played, best = Played(), -1.0
    while played.trials < trials and (trial := proposer.next()) is not None:
        played.trials += 1
        value, whole = _run(trial, policy, scheduler, best, played)
        if whole:
            best = max(best, trial.outcome)
            value = trial.outcome
            aim.note(played, trial)
        proposer.told(trial, value)
    return played


def _run(
    trial: Trial,
    policy: Policy,
    scheduler: SuccessiveHalving | None,
    best: float,
    played: Played,
) -> tuple[float, bool]:
    """The last value that was shown, and whether the trial was measured whole."""
    gflop = seconds = sequences = value = expected = 0.0
    needed = sum(row.training_gflop for row in trial.climbed())
    for step in policy(trial, best):
        for part in range(1, REPORTS + 1):
            share = part / REPORTS
            if part == REPORTS:
                value, expected = step.value, step.expected
            told = {
                COSTS["gflop"]: gflop + step.gflop * share,
                COSTS["seconds"]: seconds + step.seconds * share,
                "sequences": sequences + step.sequences * share,
                VALUE: expected,
            }
            if scheduler is not None and not scheduler.compare(trial.number, told):
                played.gflop += told[COSTS["gflop"]]
                played.seconds += told[COSTS["seconds"]]
                return value, False
        gflop, seconds = gflop + step.gflop, seconds + step.seconds
        sequences += step.sequences
    played.gflop, played.seconds = played.gflop + gflop, played.seconds + seconds
    return value, gflop >= needed * (1 - 1e-9)


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


@dataclass
class Waiting:
    """A trial that pauses at a rung: what it has done and shown so far."""

    trial: Trial
    rungs: list[list[Step]]
    level: int = 0

    @property
    def shown(self) -> tuple[float, float, int]:
        """The more the better: what is to be expected of it, then how little it took."""
        spent = sum(step.gflop for rung in self.rungs[: self.level] for step in rung)
        return self.rungs[self.level - 1][-1].expected, -spent, -self.trial.number


def promoted(proposer: Proposer, policy: Policy, factor: int, aim: Aim, trials: int) -> Played:
    """Trials pause at every rung; of those that came there one in ``factor`` goes on.

    ASHA as it was published (Li et al. 2020): who is free promotes the best that waits, on the
    highest rung where a part more than has gone on may, and begins a new trial where none may. When
    all have begun and none may go on, the best ``trials / factor`` of those that wait climb to
    their ends, the best first.
    """
    played, all_of_them = Played(), list[Waiting]()
    while (one := _promotable(all_of_them, factor)) is not None or played.trials < trials:
        if one is None:
            trial = proposer.next()
            if trial is None:
                break
            one = Waiting(trial, _by_rung(trial, policy))
            played.trials += 1
            all_of_them.append(one)
        _climb_one(one, played, aim)
        if one.level == 1:
            proposer.told(one.trial, one.rungs[0][-1].value)
    left = [one for one in all_of_them if one.level < len(one.rungs)]
    best_first = sorted(left, key=lambda each: (each.level, *each.shown), reverse=True)
    for one in best_first[: trials // factor]:
        while one.level < len(one.rungs):
            _climb_one(one, played, aim)
    return played


def _by_rung(trial: Trial, policy: Policy) -> list[list[Step]]:
    found: dict[int, list[Step]] = {}
    for row, step in zip(trial.climbed(), policy(trial, -1.0), strict=True):
        found.setdefault(row.lag, []).append(step)
    return list(found.values())


def _climb_one(one: Waiting, played: Played, aim: Aim) -> None:
    played.gflop += sum(step.gflop for step in one.rungs[one.level])
    played.seconds += sum(step.seconds for step in one.rungs[one.level])
    one.level += 1
    if one.level == len(one.rungs):
        aim.note(played, one.trial)


def _promotable(waiting: list[Waiting], factor: int) -> Waiting | None:
    for level in range(max((one.level for one in waiting), default=0), 0, -1):
        came = [one for one in waiting if one.level >= level]
        gone = sum(one.level > level for one in came)
        there = [one for one in came if one.level == level < len(one.rungs)]
        if there and gone < len(came) // factor:
            best = sorted(came, key=lambda each: _shown_at(each, level))[-(len(came) // factor) :]
            there = [one for one in there if one in best]
            if there:
                return max(there, key=lambda each: each.shown)
    return None


def _shown_at(one: Waiting, level: int) -> tuple[float, float, int]:
    return Waiting(one.trial, one.rungs, level).shown


def scheduler_of(name: str, first: float, sequences: int) -> SuccessiveHalving | None:
    """A scheduler of a spec, as `benchmarks.replay` names it; None lets every trial climb.

    Its ``first`` comparison is at so many GFLOP; a member has so many ``sequences`` on a rung.
    """
    kind, _, cost = name.partition(":")
    if kind not in RULES:
        return None
    return by_seconds(kind, sequences) if cost == "seconds" else by_gflop(kind, first)
