"""Schedules, point by point."""

from __future__ import annotations

from typing import Any

import pytest

from trainables.learning.schedules import SCHEDULES


def factors(kind: str, most: int, *steps: int, **choices: Any) -> list[float]:
    part = SCHEDULES[kind]
    schedule = part(part.Config.model_validate({"kind": kind, **choices}))
    return [schedule.factor(step, most) for step in steps]


@pytest.mark.parametrize("kind", SCHEDULES)
def test_warming_up_rises_evenly_to_the_full_rate(kind: str) -> None:
    found = factors(kind, 1000, 0, 1, 3, 4, warm_up_steps=4)
    assert found == pytest.approx([0.25, 0.5, 1.0, 1.0])


def test_the_constant_is_one() -> None:
    assert factors("constant", 10, 0, 5, 10_000) == [1.0, 1.0, 1.0]


def test_the_inverse_root_halves_after_three_times_its_steps() -> None:
    found = factors("inverse_root", 10, 0, 100, 300, 9900, decay_steps=100)
    assert found == pytest.approx([1.0, 0.5**0.5, 0.5, 0.1])


def test_the_cosine_ends_with_the_budget() -> None:
    """Full, half way between the two, the final share; and no less for a step too many."""
    found = factors("cosine", 110, 10, 60, 110, 500, warm_up_steps=10, final_share=0.2)
    assert found == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert factors("cosine", 1, 5, warm_up_steps=5) == [1.0]
