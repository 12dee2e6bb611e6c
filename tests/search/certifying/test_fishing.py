"""Trying seeds until a certificate passes wins nothing: the worst of them stands."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.reviewer import fishing, guesser


@pytest.mark.parametrize("seeds", [1, 5, 20])
def test_fishing_over_seeds_wins_at_most_five_percent(seeds: int) -> None:
    """At q = 0.79, where one certificate of 22 members errs with 3.8 %; 400 fishers."""
    generator = np.random.default_rng(seeds)
    found = np.array([fishing(0.79, seeds, generator) for _ in range(400)]).mean(0)
    best, stands = found
    assert stands <= 0.05 + 2 * (0.05 * 0.95 / 400) ** 0.5
    if seeds == 20:
        assert best > 0.4, "the best of twenty would"
        assert stands == 0


@pytest.mark.parametrize("shares", [(0.915, 0.085), (0.915, 0.05, 0.035)])
def test_no_guesser_passes(shares: tuple[float, ...]) -> None:
    """Of 50 data sets; by its rate alone some would."""
    found = [guesser(shares, seed) for seed in range(50)]
    assert any(by_rate for by_rate, _, _ in found)
    assert not any(passes for _, _, passes in found)
