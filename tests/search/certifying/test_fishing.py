"""Trying seeds until a certificate passes wins nothing: the worst of them stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.over_claiming import LAGS, SPEC, Rule, search
from benchmarks.reviewer.measures import fishing, guesser, passing_together
from search.certifying.candidates import of_search
from search.disk.certificates import standing_of


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


def decided(seed: int, lag: int, to: int) -> dict[str, Any]:
    lags = [each for each in (8, 16, 32) if each <= min(to, 2 * max(4, lag))]
    rungs = [{"lag": each, "passed": each <= lag} for each in lags]
    return {"configuration_sha256": "x", "task": "recall", "seed": seed, "lag": lag, "rungs": rungs}


@pytest.mark.parametrize(
    ("lags", "stands"),
    [
        ([(8, 8)], 8),
        ([(8, 8), (16, 16)], 16),  # the first never tried 16: a claim of its own error
        ([(8, 8), (16, 32)], 16),
        ([(16, 16), (8, 16)], 8),  # 16 was tried, and failed
        ([(8, 16), (16, 16)], 8),  # trying again wins nothing
        ([(8, 8), (8, 16), (16, 16), (32, 32)], 8),
        ([(0, 8), (16, 16)], 0),
    ],
)
def test_a_lag_is_claimed_if_all_that_tried_it_passed(
    lags: list[tuple[int, int]], stands: int
) -> None:
    """Each certificate as the lag it claims and the longest it was to try."""
    found = standing_of([decided(seed, *each) for seed, each in enumerate(lags)])
    assert found["x", "recall"]["lag"] == stands


def test_longer_lags_than_the_estimate_are_tried_where_asked_for() -> None:
    certain = np.ones((60, len(LAGS)))
    certain[:, 2:] = 0
    (candidate,) = of_search(SPEC, search(certain, np.random.default_rng(0), Rule(1, 1)), 1)
    assert candidate.lags == (8, 16)
    assert replace(candidate, to=64).lags == (8, 16, 32, 64)
    assert replace(candidate, to=8).lags == (8,)
    assert candidate.certified_task == candidate.task_config


def test_members_that_err_on_the_same_rows_pass_together() -> None:
    generator = np.random.default_rng(0)
    alone, together = (
        np.mean([passing_together(3, shared, generator) for _ in range(4000)])
        for shared in (False, True)
    )
    assert alone < 0.002
    assert 0.01 < together < 0.03
