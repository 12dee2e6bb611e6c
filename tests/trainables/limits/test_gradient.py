"""The predicted reach of a gradient is that which autograd measures, within an octave."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.limits import WIDTH, WITHIN_AN_OCTAVE, measured, predicted
from trainables.limits.gradient import KEPT, gradient_reach
from trainables.models.cells import LAYERS


@pytest.mark.parametrize(("kind", "config", "positions"), WITHIN_AN_OCTAVE, ids=str)
def test_predicted_and_measured_reach_are_within_an_octave(
    kind: str, config: dict[str, Any], positions: str
) -> None:
    """At first weights, on inputs of unit variance."""
    reach = predicted(kind, config, positions)
    found = measured(kind, config, math.ceil(2 * reach) + 2, positions)
    assert found is not None, reach
    assert 0.5 <= found / reach <= 2, (found, reach)


def test_an_oscillator_that_keeps_its_energy_has_no_end() -> None:
    """And what has no closed form is said to have none."""
    cell = {"kind": "linoss", "sampling": "implicit_explicit"}
    assert gradient_reach(cell, WIDTH) == math.inf
    assert gradient_reach({"kind": "dnc"}, WIDTH) is None
    assert set(KEPT) <= set(LAYERS)


def test_a_forget_gate_of_bias_one_reaches_22_steps_after_the_first() -> None:
    """By hand: sigmoid(1)^23 = 0.0007, sigmoid(1)^22 = 0.0010, one step back counting whole."""
    cell = {"kind": "lstm", "forget_bias": {"kind": "constant", "value": 1.0}}
    assert gradient_reach(cell, WIDTH) == 24
