"""What a rung asks of a member: a success rate, the same for all or relative to its own skill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.stages import Stages
from trainables.measure.records import MemberRung
from trainables.measure.reliability import CONFIDENCE, look_confidence, upper_bound
from trainables.measure.skill import shown_by

SKILL_SEQUENCES = 4
"""Times as many sequences tell a skill as a look shows: its bound is asked of every rung."""


@dataclass(frozen=True)
class Asked:
    """What establishes that a member solves a rung.

    A success relative to the skill s is shown by bounds on both: with U the upper bound of s at
    half the error, a rung at which the rate is at least R U, at the other half, has a rate of at
    least R s, and is wrong about it with a probability of at most the whole (Bonferroni, Dunn
    1961), however the two depend on each other.

    Attributes:
        success: the rate to be established
        error: over all looks together
        test_sequences: held-out sequences of one look
        is_skill: whether the skill is measured here: once, when the member is done learning
        by_stages: whether a look ends as soon as it is decided; never one that measures a skill
    """

    success: float
    error: float
    test_sequences: int
    is_skill: bool = False
    by_stages: bool = False

    @classmethod
    def of(cls, ladder: LadderConfig, lag: int, shortest: MemberRung | None) -> Self:
        """What ``lag`` asks of the member that left the row ``shortest`` at the shortest rung."""
        error, by_stages = 1 - CONFIDENCE, ladder.looks == "sequential"
        if ladder.relative is None:
            return cls(ladder.success, error, ladder.test_sequences, by_stages=by_stages)
        if lag == ladder.start or shortest is None:
            shown = SKILL_SEQUENCES * ladder.test_sequences
            return cls(ladder.success, error, shown, is_skill=True)
        skill = shown_by(shortest)
        most = upper_bound(skill.successes, skill.sequences, 1 - error / 2)
        success = max(ladder.success, ladder.relative * most)
        return cls(success, error / 2, ladder.test_sequences, by_stages=by_stages)

    def confidence(self, look: int) -> float:
        """Asked of the ``look``-th look, from 1."""
        return look_confidence(look, 1 - self.error)

    def stages(self, look: int, distinct: int | None) -> Stages:
        """When the ``look``-th look, from 1, passes; at no more than the ``distinct`` sequences."""
        shown = min(self.test_sequences, distinct or self.test_sequences)
        return Stages.of(shown, self.success, 1 - self.confidence(look), self.by_stages)
