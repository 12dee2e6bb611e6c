"""Skill apart from memory: how often a model is right at the shortest lag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trainables.measure.records import MemberRung

Limit = Literal["skill, not forgetting", "forgetting", "undecided"]
"""What a trial is limited by, in the words that are shown everywhere."""

BY_SKILL: Limit = "skill, not forgetting"


@dataclass(frozen=True)
class SuccessCount:
    """How often a model was right, of so many sequences."""

    successes: int
    sequences: int

    @property
    def rate(self) -> float:
        """Share of successes; 0 where nothing was shown."""
        return self.successes / self.sequences if self.sequences else 0.0


def skill_of(rows: Iterable[MemberRung]) -> SuccessCount | None:
    """What the best member showed at its last look at the shortest rung, of one task's rows."""
    tried = [row for row in rows if row.test_sequences]
    shortest = min((row.lag for row in tried), default=0)
    return best_of(shown_by(row) for row in tried if row.lag == shortest)


def least_skill(rows: Sequence[MemberRung]) -> float | None:
    """The rate of `skill_of`, the least over the tasks that ``rows`` are of; None before a look."""
    tasks = dict.fromkeys(row.task for row in rows)
    found = [skill_of([row for row in rows if row.task == task]) for task in tasks]
    return min((one.rate for one in found if one is not None), default=None)


def no_gap_of(rows: Iterable[MemberRung]) -> float | None:
    """The best member's success rate at no gap, the least over the tasks that have one."""
    best: dict[str, float] = {}
    for row in rows:
        if row.no_gap_sequences:
            best[row.task] = max(row.no_gap_rate, best.get(row.task, 0.0))
    return min(best.values(), default=None)


def wrong_answers(rows: Sequence[MemberRung], reaches: Mapping[str, int]) -> float | None:
    """The share of single answers that the best member has wrong, the most over the tasks.

    At the task's reach, or, where nothing was passed, at the shortest rung. None where no sequence
    has several answers. Of ``flip_flop`` under ``protocol: paper`` it is the glitch rate.
    """
    wrong: dict[str, float] = {}
    for row in rows:
        start = min(other.lag for other in rows if other.task == row.task)
        if row.of_several and row.lag == (reaches.get(row.task) or start):
            wrong[row.task] = min(1 - row.answer_rate, wrong.get(row.task, 1.0))
    return max(wrong.values(), default=None)


def shown_by(row: MemberRung) -> SuccessCount:
    """What a member showed at its last look."""
    return SuccessCount(round(row.success_rate * row.test_sequences), row.test_sequences)


def best_of(found: Iterable[SuccessCount]) -> SuccessCount | None:
    """The highest rate; of equals that of more sequences; None of none."""
    return max(found, key=lambda one: (one.rate, one.sequences), default=None)
