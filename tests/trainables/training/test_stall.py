"""When a member has plainly stalled: never while it gets better, and exactly when it does not."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.measure.ladder_config import StallRule
from trainables.training.stall import STRETCHES, Stretches

BUDGET = 5000  # stretches of 100 sequences
BATCH = 20  # five batches a stretch


def stalled_after(losses: list[float], rates: list[float], rule: StallRule) -> int | None:
    """Sequences after which a member with these losses and success rates, by stretch, gives up."""
    stretches = Stretches(BUDGET)
    shown = 0
    for loss, rate in zip(losses, rates, strict=True):
        for _ in range(5):
            stretches.add(loss, round(rate * BATCH), BATCH)
            shown += BATCH
            if stretches.stalled(rule):
                return shown
    return None


@pytest.mark.parametrize(("patience", "stretches"), [(0.02, 1), (0.1, 5), (0.3, 15), (0.9, 45)])
def test_a_flat_loss_stalls_exactly_after_the_patience(patience: float, stretches: int) -> None:
    """One stretch to compare with, then the patience, a fraction of the whole budget."""
    rule = StallRule(patience=patience)
    flat = [1.0] * STRETCHES, [0.0] * STRETCHES
    assert stalled_after(*flat, rule) == 100 * (1 + stretches)


def test_the_whole_budget_is_as_good_as_for_ever() -> None:
    assert stalled_after([1.0] * STRETCHES, [0.0] * STRETCHES, StallRule(patience=1.0)) is None


@given(
    st.floats(1e-3, 1e3),
    st.floats(0.02, 0.5),
    st.floats(0.02, 1.0),
)
def test_a_falling_loss_never_stalls(first: float, fall: float, patience: float) -> None:
    """Each stretch is below the one before by more than the improvement asked for."""
    losses = [first * (1 - fall) ** k for k in range(STRETCHES)]
    rule = StallRule(patience=patience, improvement=0.019)
    assert stalled_after(losses, [0.0] * STRETCHES, rule) is None


@given(st.integers(1, 15))
def test_one_fall_within_the_patience_is_enough(at: int) -> None:
    """It then has the patience again, counted from the stretch that fell."""
    losses = [1.0] * at + [0.9] * (STRETCHES - at)
    rates = [0.0] * STRETCHES
    assert stalled_after(losses, rates, StallRule(patience=0.3)) == 100 * (at + 1 + 15)


def test_a_fall_smaller_than_the_improvement_does_not_count() -> None:
    losses = [1.0] * 5 + [0.98] * 45
    rates = [0.0] * STRETCHES
    assert stalled_after(losses, rates, StallRule(patience=0.3, improvement=0.03)) == 1600
    assert stalled_after(losses, rates, StallRule(patience=0.3, improvement=0.01)) == 2100


@given(st.lists(st.floats(0.1, 10), min_size=50, max_size=50))
def test_rising_success_is_progress_whatever_the_loss(losses: list[float]) -> None:
    rates = [k / STRETCHES for k in range(STRETCHES)]
    assert stalled_after(losses, rates, StallRule(patience=0.1, improvement=0.5)) is None


def test_what_counts_is_the_best_before_not_the_last() -> None:
    """A loss that leaps up and comes back down has gained nothing, once success stops rising."""
    losses = [1.0] + [5.0 * 0.97**k for k in range(49)]
    rates = [0.0] * 10 + [0.5] * 40
    assert stalled_after(losses, rates, StallRule(patience=0.3)) == 100 * (11 + 15)


def test_stretches_stay_equal_when_batches_do_not_divide_them() -> None:
    """50 stretches of 100 sequences in batches of 32, not 39 of four batches each."""
    stretches = Stretches(BUDGET)
    for _ in range(BUDGET // 32):
        stretches.add(1.0, 0, 32)
    assert len(stretches.losses) == BUDGET // 32 * 32 // 100


def test_a_stretch_is_the_mean_over_its_sequences() -> None:
    """Batches of different sizes weigh by their sequences."""
    stretches = Stretches(50 * 30)
    stretches.add(4.0, 10, 10)
    stretches.add(1.0, 5, 20)
    assert (stretches.losses, stretches.rates) == ([2.0], [0.5])


def test_rehearsal_uses_up_budget_and_says_nothing() -> None:
    """Stretches of 100 sequences, of which every other batch is of another lag."""
    stretches = Stretches(BUDGET)
    for step in range(100):
        stretches.add(float(step // 5), BATCH // 2, BATCH)
        stretches.rehearse(BATCH)
    assert len(stretches.losses) == pytest.approx(40, abs=1)
    assert stretches.losses == sorted(stretches.losses)
    assert set(stretches.rates) == {0.5}


Batches = list[tuple[float | None, int]]


def show(stretches: Stretches, batches: Batches) -> None:
    for loss, size in batches:
        if loss is None:
            stretches.rehearse(size)
        else:
            stretches.add(loss, size // 2, size)


@given(
    st.integers(1, 3000),
    st.lists(st.tuples(st.none() | st.floats(0, 10), st.integers(1, 64)), max_size=60),
    st.data(),
)
def test_restored_it_goes_on_as_if_never_cut_off(
    budget: int, batches: Batches, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(batches)))
    whole, before, after = Stretches(budget), Stretches(budget), Stretches(budget)
    show(whole, batches)
    show(before, batches[:cut])
    after.restore(copy.deepcopy(before.state()))
    show(after, batches[cut:])
    assert vars(after) == vars(whole)
