"""What a choice explains: against the test's own statistic, on nothing, and by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kruskal

from search.results.review.importance import (
    FEWEST_TRIALS,
    Importance,
    explained,
    grouped,
    importances,
    in_words,
)


def table(groups: list[str], progress: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"kind": groups, "progress": progress})


def test_it_is_epsilon_squared_of_the_kruskal_wallis_statistic() -> None:
    random = np.random.default_rng(3)
    groups = random.integers(3, size=40)
    values = random.normal(size=40) + groups
    statistic = kruskal(*(values[groups == g] for g in range(3))).statistic
    assert explained(groups, values) == pytest.approx((statistic - 3 + 1) / (40 - 3))


def test_a_choice_that_decides_everything_explains_everything() -> None:
    progress = [0.0] * 10 + [5.0] * 10
    (found,) = importances(table(["a"] * 10 + ["b"] * 10, progress), ["kind"])
    assert (found.explained, found.low) == (1.0, 1.0)
    assert found.p_value < 0.001


def test_noise_explains_nothing() -> None:
    random = np.random.default_rng(5)
    shares = [explained(random.integers(4, size=32), random.normal(size=32)) for _ in range(200)]
    assert np.mean(shares) < 0.06


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_intervals_hold_what_many_trials_would_show(shift: float) -> None:
    """Nine in ten are asked for; three in four are a plain failure."""
    random = np.random.default_rng(7)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        groups = random.integers(3, size=count)
        return groups, random.normal(size=count) + shift * (groups == 0)

    truth = explained(*draw(20_000))
    held = 0
    for seed in range(40):
        groups, progress = draw(32)
        (found,) = importances(table([*map(str, groups)], [*progress]), ["kind"], seed)
        held += found.low <= truth <= found.high
    assert held >= 30


def test_a_choice_within_a_choice_is_judged_where_it_stands() -> None:
    count = 2 * FEWEST_TRIALS
    inner = ["x"] * (count // 2) + ["y"] * (count // 2) + [None] * count
    progress = [1.0] * (count // 2) + [2.0] * (count // 2) + [0.0] * count
    (found,) = importances(table(inner, progress), ["kind"])  # type: ignore[arg-type]  # None: not chosen
    assert (found.trials, found.explained) == (count, 1.0)


def test_nothing_is_said_of_too_few_or_of_what_did_not_vary() -> None:
    few = FEWEST_TRIALS - 1
    assert importances(table(["a", "b"] * 3 + ["a"], [*map(float, range(few))]), ["kind"]) == []
    assert importances(table(["a"] * 20, [*map(float, range(20))]), ["kind"]) == []
    assert importances(table(["a", "b"] * 10, [1.0] * 20), ["kind"]) == []


def test_a_sentence_names_what_explains_something() -> None:
    one, other = (Importance(name, part, 0.2, 0.75, 0.01, 12) for name, part in
                  (("cell", 0.5), ("width", 0.04)))  # fmt: skip
    said = "What carries reach: of the spread of progress cell explains 50% (20% to 75%). A hint"
    assert in_words([one, other]).startswith(said)
    assert "no choice by itself" in in_words([other])
    assert in_words([]) == ""


def test_numbers_are_parted_into_quarters() -> None:
    assert sorted(set(grouped(pd.Series(np.linspace(0, 1, 40))))) == [0, 1, 2, 3]
    assert set(grouped(pd.Series([16, 32, 16, 64]))) == {"16", "32", "64"}
