"""A success relative to the member's own skill."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from tests.trainables.training.stand_ins import LAG, attempt, knowing, ladder, no_tick
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.looks.asked import Asked
from trainables.measure.records import MemberRung
from trainables.measure.reliability import lower_bound, upper_bound

RELATIVE = LadderConfig.model_validate({"success": {"relative": 0.95}})


def at_start(right: int, shown: int) -> MemberRung:
    return MemberRung("recall", 8, 0, "solved", right / shown, test_sequences=shown)


def test_what_the_spec_may_say() -> None:
    assert (RELATIVE.success, RELATIVE.relative) == (0.6, 0.95)
    assert RELATIVE.asked == "0.95 of the skill, at least 0.6"
    assert LadderConfig.model_validate(RELATIVE.model_dump()) == RELATIVE
    assert LadderConfig().asked == "0.9"
    assert "relative" not in LadderConfig().model_dump()  # configurations recorded before
    for wrong in ({"relative": 1.0}, {"relative": 0.9, "more": 1}, {}):
        with pytest.raises(ValidationError, match=r"success|relative|more"):
            LadderConfig.model_validate({"success": wrong})


def test_the_skills_upper_bound_is_asked_for() -> None:
    asked = Asked.of(RELATIVE, 16, at_start(1900, 2048))
    assert asked.success == pytest.approx(0.95 * upper_bound(1900, 2048, 0.975))
    assert asked.confidence(1) == pytest.approx(0.9875)
    assert Asked.of(RELATIVE, 16, at_start(900, 2048)).success == 0.6  # never less
    assert Asked.of(RELATIVE, 8, None) == Asked(0.6, pytest.approx(0.05), 2048, True)
    assert Asked.of(LadderConfig(), 16, at_start(1, 2)) == Asked(0.9, pytest.approx(0.05), 512)


@pytest.mark.parametrize("skill", [0.97, 0.8])
def test_it_errs_as_seldom_as_it_says(skill: float) -> None:
    """Members of just less than 0.95 of their skill: at most 5 % solve, at any of four looks."""
    generator = np.random.default_rng(0)
    below, looks, members, wrong = 0.949 * skill, 4, 1000, 0
    for right in generator.binomial(2048, skill, members).tolist():
        asked = Asked.of(RELATIVE, 16, at_start(right, 2048))
        counts = generator.binomial(512, below, looks).tolist()
        wrong += any(
            lower_bound(count, 512, asked.confidence(look)) >= asked.success
            for look, count in enumerate(counts, 1)
        )
    assert wrong <= 0.05 * members


def test_the_skill_is_measured_once_when_learning_is_done() -> None:
    """Four times as many sequences, at the end of the budget and not when 0.6 is first passed."""
    steps = ladder(success={"relative": 0.9}, stall=None)
    asked = Asked.of(steps, LAG, None)
    measured = attempt(knowing(0.8), steps, asked=asked).run(no_tick)
    assert (measured.solved, measured.looks, measured.test_sequences) == (True, 1, 400)
    assert measured.sequences == 2000
    assert measured.asked == 0.6


def test_a_rung_is_solved_by_what_the_member_can_do() -> None:
    """0.8 at both solves it; of one that had shown 0.99 it is not enough."""
    steps = ladder(stop=8, success={"relative": 0.8}, test_sequences=400)
    for shown, solved in ((320, True), (396, False)):
        asked = Asked.of(steps, 8, at_start(shown, 400))
        measured = attempt(knowing(0.8), steps, lag=8, asked=asked).run(no_tick)
        assert measured.solved == solved
        assert measured.asked == asked.success
