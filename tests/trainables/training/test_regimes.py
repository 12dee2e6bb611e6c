"""Regimes: whether weights are carried, and the lags that batches are drawn at."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.trainables.training.stand_ins import attempt, knowing, ladder, no_tick, seeded
from trainables.regimes import REGIMES, Incremental, Mixed, Scratch, StatePassing, Truncated


def incremental(fraction: float) -> Incremental:
    return Incremental(Incremental.Config(rehearsal_fraction=fraction))


def test_which_regime_carries_weights() -> None:
    assert incremental(0).carries_weights
    assert Mixed(Mixed.Config()).carries_weights
    assert not Scratch(Scratch.Config()).carries_weights


def test_without_rehearsal_every_batch_is_of_the_rung_and_nothing_is_drawn() -> None:
    generator, untouched = seeded(), seeded().get_state()
    for regime in (incremental(0), Scratch(Scratch.Config())):
        assert regime.lag(16, [4, 8], generator) == 16
        assert torch.equal(generator.get_state(), untouched)
    assert incremental(0.9).lag(4, [], generator) == 4
    assert torch.equal(generator.get_state(), untouched)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_the_fraction_is_rehearsed_evenly(fraction: float) -> None:
    """Within five standard deviations of 4000 draws."""
    generator = seeded(3)
    lags = [incremental(fraction).lag(32, [4, 8, 16], generator) for _ in range(4000)]
    spread = (4000 * fraction * (1 - fraction)) ** 0.5
    assert len(lags) - lags.count(32) == pytest.approx(4000 * fraction, abs=5 * spread)
    for below in (4, 8, 16):
        share = fraction / 3
        spread = (4000 * share * (1 - share)) ** 0.5
        assert lags.count(below) == pytest.approx(4000 * share, abs=5 * spread)


def test_mixed_draws_every_rung_so_far_as_often() -> None:
    """Within five standard deviations of 4000 draws; on the first rung there is one lag."""
    generator, mixed = seeded(3), Mixed(Mixed.Config())
    lags = [mixed.lag(32, [4, 8, 16], generator) for _ in range(4000)]
    assert set(lags) == {4, 8, 16, 32}
    for rung in (4, 8, 16, 32):
        assert lags.count(rung) == pytest.approx(1000, abs=5 * (4000 * 3 / 16) ** 0.5)
    assert mixed.lag(4, [], generator) == 4


def test_mixed_draws_from_the_generator_alone() -> None:
    mixed = Mixed(Mixed.Config())
    one, other = seeded(3), seeded(3)
    for _ in range(20):
        assert mixed.lag(8, [2, 4], one) == mixed.lag(8, [2, 4], other)


def test_where_gradients_end_and_sequences_begin() -> None:
    assert all(kind(kind.Config()).window is None for kind in (Incremental, Mixed, Scratch))
    assert all(kind(kind.Config()).passed_fraction == 0 for kind in (Incremental, Mixed, Scratch))
    truncated = Truncated(Truncated.Config(window=16))
    assert (truncated.window, truncated.passed_fraction) == (16, 0)
    passing = StatePassing(StatePassing.Config(passed_fraction=0.25))
    assert (passing.window, passing.passed_fraction) == (None, 0.25)
    assert passing.passes == pytest.approx(1 + 0.25 / 3)
    assert truncated.carries_weights
    assert passing.carries_weights


@pytest.mark.parametrize(
    "regime",
    [{"kind": "truncated", "window": 4}, {"kind": "state_passing"}, {"kind": "auxiliary"}],
)
def test_they_rehearse_as_incremental_does(regime: dict[str, Any]) -> None:
    kind = REGIMES[regime["kind"]]
    other = kind(kind.Config.model_validate({**regime, "rehearsal_fraction": 0.5}))
    one, another = seeded(3), seeded(3)
    for _ in range(50):
        assert other.lag(32, [4, 8], one) == incremental(0.5).lag(32, [4, 8], another)


def test_a_sequence_that_is_only_read_costs_a_third_of_one_that_is_learned_from() -> None:
    costs = []
    for regime in ({"kind": "incremental"}, {"kind": "state_passing", "passed_fraction": 0.5}):
        training = attempt(knowing(0.0), ladder(sequences=160, stall=None), regime=regime)
        costs.append(training.run(no_tick).training_gflop)
    assert costs[1] == pytest.approx(costs[0] * (1 + 0.5 / 3))
