"""Looks by stages: they err exactly as they say, pass as often as whole ones, and cost less."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import comb

import numpy as np
import pytest

from benchmarks.over_claiming import called_solved
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.limits import limit_of
from trainables.measure.looks.sizes import FIRST, LONGEST, sizes
from trainables.measure.looks.stages import Stages, passing
from trainables.measure.records import MemberRung
from trainables.measure.reliability import (
    better_than,
    look_confidence,
    lower_bound,
    successes_needed,
)

LOOKS = range(1, 21)
SUCCESSES = (0.5, 0.6, 0.8, 0.85, 0.9, 0.95, 0.99)


def error_of(look: int) -> float:
    return 1 - look_confidence(look)


def exactly(stages: Stages, rate: Fraction) -> Fraction:
    """The probability of passing at any stage, by whole numbers: nothing is rounded."""
    undecided, before, passed = {0: Fraction(1)}, 0, Fraction(0)
    for size, needed in zip(stages.sizes, stages.needed, strict=True):
        more, then = size - before, dict[int, Fraction]()
        counts = [comb(more, k) * rate**k * (1 - rate) ** (more - k) for k in range(more + 1)]
        for count, chance in undecided.items():
            for k, each in enumerate(counts):
                then[count + k] = then.get(count + k, Fraction(0)) + chance * each
        passed += sum((c for s, c in then.items() if s >= needed), Fraction(0))
        undecided, before = {s: c for s, c in then.items() if s < needed}, size
    return passed


def chances(trials: int, rate: float) -> np.ndarray:
    """Probabilities of 0 to ``trials`` successes."""
    k = np.arange(trials + 1)
    ways = np.array([comb(trials, int(i)) for i in k], float)
    return ways * rate**k * (1 - rate) ** (trials - k)


def simulated(stages: Stages, rate: float, times: int, seed: int) -> tuple[float, float]:
    """How often looks pass that are given up where hopeless, and how many sequences they show."""
    rng, passed, shown = np.random.default_rng(seed), 0, 0
    for _ in range(times):
        successes = 0
        for stage, (before, size) in enumerate(pairwise((0, *stages.sizes))):
            successes += int(rng.binomial(size - before, rate))
            if stages.passes(stage, successes):
                passed += 1
                break
            if stages.is_hopeless(stage, successes):
                break
        shown += size
    return passed / times, shown / times


def test_a_look_doubles_until_it_is_whole() -> None:
    assert sizes(512) == (64, 128, 256, 512)
    assert sizes(359) == (64, 128, 256, 359)
    assert sizes(FIRST) == (FIRST,)
    assert sizes(20) == (20,)
    assert sizes(10**8)[-3:] == (2048, LONGEST, 10**8)


@pytest.mark.parametrize("success", SUCCESSES)
def test_no_look_errs_with_more_than_its_part(success: float) -> None:
    """By recursion, for the first twenty looks, and whatever number of sequences there is."""
    for look in LOOKS:
        for sequences in (20, 100, 359, 512):
            stages = Stages.of(sequences, success, error_of(look))
            chance = sum(passing(stages.sizes, stages.needed, success))
            assert chance <= error_of(look) + 1e-12
            assert chance == pytest.approx(stages.error, abs=1e-12)


@pytest.mark.parametrize("success", ["0.8", "0.9", "0.95"])
def test_the_recursion_is_exact(success: str) -> None:
    """Against fractions of whole numbers; the float nearest to the success is what is asked."""
    for sequences in (80, 140):
        stages = Stages.of(sequences, float(success), 0.025)
        found = exactly(stages, Fraction(float(success)))
        assert found <= Fraction(0.025)
        assert float(found) == pytest.approx(stages.error, rel=1e-9)


@pytest.mark.parametrize("success", SUCCESSES)
def test_one_success_less_at_any_stage_would_err_more_or_spend_what_another_needs(
    success: float,
) -> None:
    """The last number is the whole look's; loosened by one, the error is beyond what is allowed."""
    for look in (1, 2, 5):
        stages = Stages.of(512, success, error_of(look))
        if stages.needed[-1] > 512:
            continue
        *before, last = stages.needed
        assert last == successes_needed(512, success, look_confidence(look))
        assert sum(passing(stages.sizes, (*before, last - 1), success)) > error_of(look)
        late = (*before[:-1], before[-1] - 1, last)
        assert sum(passing(stages.sizes, late, success)) > error_of(look)


@pytest.mark.parametrize("success", SUCCESSES)
def test_it_passes_at_least_as_often_as_a_whole_look(success: float) -> None:
    for look in (1, 2, 3, 5, 10, 20):
        stages = Stages.of(512, success, error_of(look))
        whole = Stages.of(512, success, error_of(look), by_stages=False)
        assert whole.sizes == (512,)
        for rate in np.linspace(success, 1, 5).tolist():
            assert stages.chance(rate) >= whole.chance(rate) - 1e-12


@pytest.mark.parametrize("rate", [0.91, 0.92, 0.94, 0.96])
def test_giving_up_loses_hardly_any_power(rate: float) -> None:
    for look in (1, 3):
        stages = Stages.of(512, 0.9, error_of(look))
        kept, undecided, before = 0.0, np.ones(1), 0
        for stage, size in enumerate(stages.sizes):
            shown = np.convolve(undecided, chances(size - before, rate))
            kept += shown[stages.needed[stage] :].sum()
            undecided, before = shown[: stages.needed[stage]].copy(), size
            undecided[: stages.hopeless[stage] + 1] = 0
        assert stages.chance(rate) - 0.01 <= kept <= stages.chance(rate)


def test_what_is_hopeless_is_below_what_passes_and_the_last_stage_decides() -> None:
    stages = Stages.of(512, 0.9, 0.025)
    assert all(low < high for low, high in zip(stages.hopeless, stages.needed, strict=True))
    assert stages.is_hopeless(0, stages.hopeless[0])
    assert not stages.is_hopeless(0, stages.hopeless[0] + 1)
    assert not stages.is_hopeless(3, 0)


def test_a_member_just_below_the_rate_passes_as_seldom_as_the_recursion_says() -> None:
    stages = Stages.of(512, 0.9, 0.025)
    passed, _ = simulated(stages, 0.9, 20_000, seed=0)
    assert passed == pytest.approx(stages.error, abs=0.004)


def test_whoever_is_always_right_is_shown_the_first_stage_alone() -> None:
    stages = Stages.of(512, 0.9, 0.025)
    assert simulated(stages, 1.0, 10, seed=0) == (1.0, 64)
    assert simulated(stages, 0.5, 100, seed=0)[0] == 0
    assert simulated(stages, 0.5, 100, seed=0)[1] < 70


@pytest.mark.parametrize("rows", [None, 400])
def test_twenty_looks_call_few_solved_that_are_not(rows: int | None) -> None:
    """Of members just below the rate, and of those that err on the same rows at each look."""
    found = called_solved(0.899, True, rows, 2000, np.random.default_rng(0))
    assert 0.01 < found <= 0.05


# The bound that a look by stages leaves


def test_the_bound_of_one_stage_is_cloppers_and_pearsons() -> None:
    whole = Stages.of(512, 0.9, 0.025, by_stages=False)
    for successes in (0, 1, 300, 475, 512):
        assert whole.lower_bound(0, successes, 0.025) == pytest.approx(
            lower_bound(successes, 512, 0.975), abs=1e-9
        )


@pytest.mark.parametrize("success", [0.6, 0.9])
def test_the_bound_is_at_least_the_success_exactly_where_the_look_passes(success: float) -> None:
    for look in (1, 4):
        error = error_of(look)
        stages = Stages.of(512, success, error)
        for stage, needed in enumerate(stages.needed):
            for successes in range(max(1, needed - 3), min(needed + 3, stages.sizes[stage]) + 1):
                bound = stages.lower_bound(stage, successes, error)
                if successes >= needed:
                    assert bound >= success
                elif stage == len(stages.sizes) - 1:
                    assert bound < success


def test_the_bound_is_above_the_true_rate_as_seldom_as_it_says() -> None:
    """Over all ways to end: passed at a stage, or not at the last."""
    for rate in (0.85, 0.92, 0.97, 0.99):
        stages = Stages.of(150, 0.9, 0.025)
        wrong, undecided, before = 0.0, np.ones(1), 0
        for stage, size in enumerate(stages.sizes):
            shown = np.convolve(undecided, chances(size - before, rate))
            is_last = stage == len(stages.sizes) - 1
            for count in range(0 if is_last else stages.needed[stage], size + 1):
                if count < len(shown) and stages.lower_bound(stage, count, 0.025) > rate:
                    wrong += shown[count]
            undecided, before = shown[: stages.needed[stage]], size
        assert wrong <= 0.025 + 1e-9


def test_the_parts_of_the_error_for_a_further_test_are_one_together() -> None:
    for sequences in (50, 100, 512, 5000):
        stages = Stages.of(sequences, 0.9, 0.025)
        shares = [stages.share(stage) for stage in range(len(stages.sizes))]
        assert sum(shares) == pytest.approx(1)
        assert shares[-1] == max(shares)


def test_a_member_as_good_as_a_control_is_seldom_called_better_wherever_the_look_ends() -> None:
    """Of sequences on which just one of the two succeeds, half are the member's."""
    rng, stages, error, wrong = np.random.default_rng(0), Stages.of(512, 0.9, 0.2), 0.2, 0
    for _ in range(2000):
        apart = rng.random(512) < 0.2
        member = rng.random(512) < 0.5
        wrong += any(
            better_than(
                int((apart & member)[:size].sum()),
                int((apart & ~member)[:size].sum()),
                1 - error * stages.share(stage),
            )
            for stage, size in enumerate(stages.sizes)
        )
    assert 0 < wrong <= 2000 * error


# What a spec says of it


def test_a_ladder_that_says_nothing_is_whole_and_written_as_before() -> None:
    assert "looks" not in LadderConfig().model_dump()
    assert LadderConfig().ends_of_a_look == 1
    assert LadderConfig(looks="whole").ends_of_a_look == 1
    assert LadderConfig(looks="sequential").ends_of_a_look == 4


def test_what_a_short_look_showed_is_not_taken_for_little_skill() -> None:
    """64 of 64 cannot show that the skill is above what a look asks for, nor that it is not."""
    rows = [
        MemberRung("recall", 8, 0, "solved", 1.0, test_sequences=64),
        MemberRung("recall", 16, 0, "budget", 0.9, test_sequences=512),
    ]
    assert limit_of(rows, [], LadderConfig(looks="sequential")) == "undecided"
    far = [rows[0], MemberRung("recall", 16, 0, "budget", 0.5, test_sequences=512)]
    assert limit_of(far, [], LadderConfig(looks="sequential")) == "forgetting"
    whole = [MemberRung("recall", 8, 0, "solved", 0.93, test_sequences=512), rows[1]]
    assert limit_of(whole, [], LadderConfig(looks="sequential")) == "skill, not forgetting"
