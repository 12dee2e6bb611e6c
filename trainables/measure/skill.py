"""Skill apart from memory: what a model can do at the shortest lag, and whether it fell from there.

Two rates p and s of independent binomials are told apart by a bound on their ratio. With k of n
and j of m successes, each bounded at half the error (Clopper & Pearson 1934; Bonferroni, Dunn 1961)

    L(k, n, a / 2) / U(j, m, a / 2)  <=  p / s  <=  U(k, n, a / 2) / L(j, m, a / 2)

where each side alone holds with a probability of at least 1 - a, whatever p and s are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import CurvePoint, MemberRung
from trainables.measure.reliability import (
    CONFIDENCE,
    look_confidence,
    lower_bound,
    successes_needed,
    upper_bound,
)

HELD = 0.95
"""Of its skill, the share from which on a model is not said to have forgotten."""

Limit = Literal["skill, not forgetting", "forgetting", "undecided"]
"""What a trial is limited by, in the words that are shown everywhere."""

BY_SKILL: Limit = "skill, not forgetting"


@dataclass(frozen=True)
class Shown:
    """How often a model was right, of so many sequences."""

    successes: int
    sequences: int

    @property
    def rate(self) -> float:
        """Share of successes; 0 where nothing was shown."""
        return self.successes / self.sequences if self.sequences else 0.0


def ratio_at_least(rung: Shown, skill: Shown, confidence: float = CONFIDENCE) -> float:
    """Lower bound of the success rate on a rung over the skill's; 0 where nothing is known."""
    each = 1 - (1 - confidence) / 2
    most = upper_bound(skill.successes, skill.sequences, each)
    return lower_bound(rung.successes, rung.sequences, each) / most


def ratio_at_most(rung: Shown, skill: Shown, confidence: float = CONFIDENCE) -> float:
    """Upper bound of the same; infinite where nothing is known."""
    each = 1 - (1 - confidence) / 2
    least = lower_bound(skill.successes, skill.sequences, each)
    most = upper_bound(rung.successes, rung.sequences, each)
    return most / least if least else math.inf


def skill_of(rows: Iterable[MemberRung]) -> Shown | None:
    """What the best member showed at its last look at the shortest rung, of one task's rows."""
    tried = [row for row in rows if row.test_sequences]
    shortest = min((row.lag for row in tried), default=0)
    return _best(shown_by(row) for row in tried if row.lag == shortest)


def least_skill(rows: Sequence[MemberRung]) -> float | None:
    """The rate of `skill_of`, the least over the tasks that ``rows`` are of; None before a look."""
    tasks = dict.fromkeys(row.task for row in rows)
    found = [skill_of([row for row in rows if row.task == task]) for task in tasks]
    return min((one.rate for one in found if one is not None), default=None)


def limit_of(
    rows: Sequence[MemberRung], curve: Iterable[CurvePoint], ladder: LadderConfig
) -> Limit | None:
    """What one task's climb that ended at a failed rung is limited by; None if it did not.

    Its skill is the best that a member, or the final weights, showed at any shorter lag. It is
    said to forget if what the best failing member showed is established to be less than `HELD` of
    that; else, if the skill is not established to exceed the rate that a look asks for, to be
    limited by skill, not by forgetting; else nothing is decided.
    """
    failed = [row for row in rows if not row.solved]
    if not failed:
        return None
    lag = max(row.lag for row in failed)
    at_rung = _best(shown_by(row) for row in failed if row.lag == lag and row.test_sequences)
    below = [shown_by(row) for row in rows if row.lag < lag and row.test_sequences]
    below += [Shown(p.successes, p.sequences) for p in curve if p.lag < lag]
    skill = _best(below)
    if at_rung is None or skill is None:
        return None
    if ratio_at_most(at_rung, skill) < HELD:
        return "forgetting"
    needed = successes_needed(at_rung.sequences, ladder.success, look_confidence(1))
    asked = 1.0 if needed is None else needed / at_rung.sequences
    confidence = 1 - (1 - CONFIDENCE) / len(below)
    if lower_bound(skill.successes, skill.sequences, confidence) <= asked:
        return BY_SKILL
    return "undecided"


def shown_by(row: MemberRung) -> Shown:
    """What a member showed at its last look."""
    return Shown(round(row.success_rate * row.test_sequences), row.test_sequences)


def _best(found: Iterable[Shown]) -> Shown | None:
    return max(found, key=lambda one: (one.rate, one.sequences), default=None)
