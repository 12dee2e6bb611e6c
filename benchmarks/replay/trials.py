"""Trials as the table holds them, and how their members climb under a rule."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from benchmarks.replay.table import Table
from benchmarks.replay.tasks import ELSEWHERE, MEASURED, MEMBERS
from trainables.measure.ladder import Rule, climb, expected_progress, passed_rungs, progress, reach
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import MemberRung

FRESH = 14
"""Fresh members that must all solve the reach: reliability 0.8 at confidence 0.95."""


@dataclass(frozen=True)
class Step:
    """What one member's attempt at a rung came to, under way in a trial.

    Attributes:
        gflop, seconds, sequences: what it took
        value: what the sampler is shown of the trial from then on
        expected: and the scheduler
    """

    gflop: float
    seconds: float
    sequences: int
    value: float
    expected: float

    @classmethod
    def of(cls, row: MemberRung, value: float, expected: float) -> Self:
        """The attempt of a row."""
        return cls(row.training_gflop, row.seconds, row.sequences, value, expected)


@dataclass(frozen=True)
class Trial:
    """A configuration on a task: every member's climb, each by itself.

    Attributes:
        rows: by lag and member
        earlier: whether samplers and schedulers are shown progress as it was before single answers
            and chance counted in it: whole sequences, and members that were left out as 0
        by_progress: whether schedulers compare by progress, in which members to come are 0
    """

    number: int
    parameters: Mapping[str, Any]
    ladder: LadderConfig
    rows: dict[tuple[int, int], MemberRung] = field(default_factory=dict)
    earlier: bool = False
    by_progress: bool = False

    def progress(self, seen: Sequence[MemberRung], rule: Rule | None = None) -> float:
        """What is shown of it after these attempts."""
        rule, lags, success = rule or self.ladder.rule, self.ladder.rungs, self.ladder.success
        if not self.earlier:
            return progress(seen, lags, rule, success)
        passed = passed_rungs(seen, lags, rule)
        below, lag = reach(passed) or 1, rule.next_rung(seen, passed, lags)
        if lag is None:
            return math.log2(below)
        at = [row for row in seen if row.lag == lag]
        shares = [1.0 if row.solved else min(0.99, row.success_rate / success) for row in at]
        best = sorted(shares, reverse=True)[: rule.quorum]
        return math.log2(below) + sum(best) / rule.quorum * math.log2(lag / below)

    def step(self, row: MemberRung, seen: Sequence[MemberRung], rule: Rule | None = None) -> Step:
        """An attempt, and what is shown of the trial after it."""
        value = self.progress(seen, rule)
        if self.earlier or self.by_progress:
            return Step.of(row, value, value)
        rule, lags, success = rule or self.ladder.rule, self.ladder.rungs, self.ladder.success
        return Step.of(row, value, expected_progress(seen, lags, rule, success))

    @cached_property
    def outcome(self) -> float:
        """Its progress as a search without a scheduler measures it, all members breadth first."""
        return self.progress(self.climbed())

    @cached_property
    def gflop(self) -> float:
        """What that costs."""
        return sum(row.training_gflop for row in self.climbed())

    def climbed(self) -> tuple[MemberRung, ...]:
        """The attempts of that search, in its order."""
        return climb(lambda lag, m: self.rows[lag, m], self.ladder.rungs, self.ladder.rule).outcomes

    @cached_property
    def alone(self) -> list[MemberRung]:
        """The climb of the first member by itself."""
        return [self.rows[lag, 0] for lag in self.ladder.rungs if (lag, 0) in self.rows]

    @cached_property
    def reach(self) -> int:
        """The largest lag passed by all members."""
        solved = [row.lag for row in self.climbed() if row.solved]
        return max((lag for lag in solved if solved.count(lag) == MEMBERS), default=0)

    @cached_property
    def certified(self) -> bool | None:
        """Whether the fresh members all solve its reach; None where none were measured."""
        fresh = {member for _, member in self.rows if member >= MEMBERS}
        if not fresh:
            return None
        solved = [(self.reach, m) in self.rows and self.rows[self.reach, m].solved for m in fresh]
        return self.reach > 0 and len(solved) >= FRESH and all(solved)


Policy = Callable[[Trial, float], Iterator[Step]]
"""From a trial, and the best outcome so far, to its steps."""


def breadth_first(trial: Trial, best: float) -> Iterator[Step]:
    """All members on a rung before any on the next, as a search climbs."""
    seen: list[MemberRung] = []
    for row in trial.climbed():
        seen.append(row)
        yield trial.step(row, seen)


def one(trial: Trial, best: float) -> Iterator[Step]:
    """The first member alone; what three would have shown is not known."""
    seen: list[MemberRung] = []
    for row in trial.alone:
        seen.append(row)
        yield trial.step(row, seen, Rule(1, 1))


def race(trial: Trial, best: float) -> Iterator[Step]:
    """One member climbs; the others join while the trial could still be as good as the best.

    With all members asked for, a rung that one fails cannot be passed: the trial's progress is at
    most what it would be if all the others solved everything up to there. Below the best it is
    over. The sampler is shown the first member's own progress until the trial is measured whole.
    """
    seen: list[MemberRung] = []
    value = expected = 0.0
    for step, row in zip(one(trial, best), trial.alone, strict=True):
        seen.append(row)
        value, expected = step.value, step.expected
        yield step
        if _at_most(trial, seen) < best:
            return
    ahead = {(row.lag, row.member) for row in seen}
    for row in trial.climbed():
        if (row.lag, row.member) in ahead:
            continue
        seen.append(row)
        yield Step.of(row, value, expected)
        if _at_most(trial, seen) < best:
            return


def _at_most(trial: Trial, seen: list[MemberRung]) -> float:
    """The most progress that a trial can have after what was seen of it."""
    ladder = trial.ladder
    failed = {row.lag: row for row in seen if not row.solved}
    if not failed:
        return float(progress(_all_solved(trial), ladder.rungs, ladder.rule, ladder.success))
    lowest = min(failed)
    hoped = [row for row in _all_solved(trial) if row.lag < lowest or row.member > 0]
    hoped = [row for row in hoped if row.lag <= lowest]
    return progress([*hoped, failed[lowest]], ladder.rungs, ladder.rule, ladder.success)


def _all_solved(trial: Trial) -> list[MemberRung]:
    return [
        MemberRung("", lag, member, "solved")
        for lag in trial.ladder.rungs
        for member in range(trial.ladder.members)
    ]


POLICIES: dict[str, Policy] = {"breadth": breadth_first, "race": race, "one": one}


def trials_of(
    table: Table, task: str, earlier: bool = False, by_progress: bool = False
) -> list[Trial]:
    """All trials of a task, by their draws; those that ended by an error are left out.

    Of several answers a sequence, the table does not say how many single ones were right: as many
    as if each were by itself.
    """
    measured = (MEASURED | ELSEWHERE)[task]
    found: dict[int, Trial] = {}
    broken = {row["number"] for row in table.rows if row["ended_by"] == "error"}
    for row in table.rows:
        if row["task"] != task or row["number"] in broken:
            continue
        parameters = json.loads(row["parameters"])
        trial = found.setdefault(
            row["number"],
            Trial(
                row["number"],
                parameters,
                measured.ladder,
                earlier=earlier,
                by_progress=by_progress,
            ),
        )
        trial.rows[row["lag"], row["member"]] = MemberRung(
            task=task,
            lag=row["lag"],
            member=row["member"],
            ended_by=row["ended_by"],
            success_rate=row["success_rate"],
            answers=measured.answers if row["looks"] else 0,
            answer_rate=row["success_rate"] ** (1 / measured.answers),
            chance=measured.chance,
            sequences=row["sequences"],
            seconds=row["seconds"],
            training_gflop=row["training_gflop"],
        )
    return list(found.values())
