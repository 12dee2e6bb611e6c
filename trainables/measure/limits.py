"""What a trial is limited by: its skill, or forgetting.

Two rates p and s of independent binomials are told apart by a bound on their ratio. With k of n
and j of m successes, each bounded at half the error (Clopper & Pearson 1934; Bonferroni, Dunn 1961)

    L(k, n, a / 2) / U(j, m, a / 2)  <=  p / s  <=  U(k, n, a / 2) / L(j, m, a / 2)

where each side alone holds with a probability of at least 1 - a, whatever p and s are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import CurvePoint, MemberRung
from trainables.measure.reliability import (
    CONFIDENCE,
    look_confidence,
    lower_bound,
    successes_needed,
    upper_bound,
)
from trainables.measure.skill import BY_SKILL, Limit, SuccessCount, best_of, shown_by

HELD = 0.95
"""Of its skill, the share from which on a model is not said to have forgotten."""


def ratio_at_least(
    rung: SuccessCount, skill: SuccessCount, confidence: float = CONFIDENCE
) -> float:
    """Lower bound of the success rate on a rung over the skill's; 0 where nothing is known."""
    each = 1 - (1 - confidence) / 2
    most = upper_bound(skill.successes, skill.sequences, each)
    return lower_bound(rung.successes, rung.sequences, each) / most


def ratio_at_most(rung: SuccessCount, skill: SuccessCount, confidence: float = CONFIDENCE) -> float:
    """Upper bound of the same; infinite where nothing is known."""
    each = 1 - (1 - confidence) / 2
    least = lower_bound(skill.successes, skill.sequences, each)
    most = upper_bound(rung.successes, rung.sequences, each)
    return most / least if least else math.inf


def limit_of(
    rows: Sequence[MemberRung], curve: Iterable[CurvePoint], ladder: LadderConfig
) -> Limit | None:
    """What one task's climb that ended at a failed rung is limited by; None if it did not.

    Its skill is the best that a member, or the final weights, showed at any shorter lag. It is
    said to forget if what the best failing member showed is established to be less than `HELD` of
    that; else, if the skill is not established to exceed the rate that a look asks for, to be
    limited by skill, not by forgetting; else nothing is decided. A look by stages may have ended at
    each of them: the bounds share the error among these (Bonferroni).
    """
    failed = [row for row in rows if not row.solved]
    if not failed:
        return None
    lag = max(row.lag for row in failed)
    at_rung = best_of(shown_by(row) for row in failed if row.lag == lag and row.test_sequences)
    below = [shown_by(row) for row in rows if row.lag < lag and row.test_sequences]
    below += [SuccessCount(p.successes, p.sequences) for p in curve if p.lag < lag]
    skill = best_of(below)
    if at_rung is None or skill is None:
        return None
    error = (1 - CONFIDENCE) / ladder.ends_of_a_look
    if ratio_at_most(at_rung, skill, 1 - error) < HELD:
        return "forgetting"
    needed = successes_needed(at_rung.sequences, ladder.success, look_confidence(1))
    asked = 1.0 if needed is None else needed / at_rung.sequences
    confidence = 1 - error / len(below)
    may_end_early = ladder.ends_of_a_look > 1
    if may_end_early and lower_bound(skill.sequences, skill.sequences, confidence) <= asked:
        return "undecided"  # it was shown too few to tell, were all of them right
    if lower_bound(skill.successes, skill.sequences, confidence) <= asked:
        return BY_SKILL
    return "undecided"
