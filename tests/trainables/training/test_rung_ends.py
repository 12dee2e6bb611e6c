"""How a member's training on a rung ends, and that it goes on where it was cut off."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.trainables.training.stand_ins import (
    LAG,
    KnowingMember,
    attempt,
    knowing,
    ladder,
    no_tick,
)
from trainables.tasks.task import Batch
from trainables.training.memory import out_of_memory
from trainables.training.rung import RungTraining, Tick

REHEARSING = {"kind": "incremental", "rehearsal_fraction": 0.75}


def flat(step: int) -> float:
    return 1.0


# How it ends


def test_a_flat_member_stalls_unless_that_is_turned_off() -> None:
    """15 of the 50 stretches of 40 sequences, after one to compare with; batches of 20."""
    stalled = attempt(knowing(0.0, flat), ladder(), batch_size=20).run(no_tick)
    assert (stalled.ended_by, stalled.sequences) == ("stalled", 16 * 40)
    assert (stalled.looks, stalled.test_sequences) == (1, 100)
    budget = attempt(knowing(0.0, flat), ladder(stall=None), batch_size=20).run(no_tick)
    assert (budget.ended_by, budget.sequences) == ("budget", 2000)


@pytest.mark.parametrize("regime", [{"kind": "mixed"}, REHEARSING])
def test_rehearsal_does_not_put_off_a_stall(regime: dict[str, Any]) -> None:
    """The patience is a part of the whole budget, of which the rung's own lag has a quarter here.

    A stretch ends with a batch at the rung's lag, so each may take a little longer.
    """
    steps = ladder(start=2, stop=16)
    member = knowing(0.0, flat)
    measured = attempt(member, steps, lag=16, batch_size=2, regime=regime).run(no_tick)
    assert measured.ended_by == "stalled"
    assert 16 * 40 <= measured.sequences <= 19 * 40


class Ticking:
    """A clock on which every look takes a second."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_time_ends_an_attempt_after_a_last_look() -> None:
    training = attempt(knowing(0.0), ladder(seconds=10), clock=Ticking())
    measured = training.run(no_tick)
    assert (measured.ended_by, measured.looks) == ("time", 1)
    assert measured.sequences == 10 * 16
    assert measured.seconds == 11
    solved = attempt(knowing(1.0), ladder(seconds=2), clock=Ticking()).run(no_tick)
    assert (solved.ended_by, solved.sequences) == ("solved", 2 * 16)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_attempt_without_a_look(loss: float) -> None:
    measured = attempt(knowing(1.0, lambda step: loss if step == 3 else 1.0), ladder()).run(no_tick)
    assert (measured.ended_by, measured.sequences) == ("nan", 64)
    assert (measured.success_rate, measured.lower_bound) == (0, 0)
    assert (measured.looks, measured.test_sequences) == (0, 0)


def raises(error: Callable[[], Any]) -> Callable[[int], float]:
    def loss(step: int) -> float:
        if step == 3:
            error()
        return 1.0

    return loss


def no_memory_in_python() -> None:
    raise MemoryError


def no_memory_in_torch() -> None:
    torch.empty(2**55, dtype=torch.uint8)


def no_memory_on_the_device() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def no_memory_for_a_kernel() -> None:
    raise RuntimeError("CUDA error: out of memory")


OUT_OF_MEMORY = [
    no_memory_in_python,
    no_memory_in_torch,
    no_memory_on_the_device,
    no_memory_for_a_kernel,
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_running_out_of_memory_is_an_outcome(error: Callable[[], None]) -> None:
    measured = attempt(knowing(1.0, raises(error)), ladder()).run(no_tick)
    assert (measured.ended_by, measured.sequences) == ("memory", 48)
    assert (measured.success_rate, measured.looks, measured.test_sequences) == (0, 0, 0)


def test_any_other_error_is_not_swallowed() -> None:
    def broken() -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        attempt(knowing(1.0, raises(broken)), ladder()).run(no_tick)
    assert not out_of_memory(RuntimeError("shapes do not match"))


# The budget


@settings(max_examples=40)
@given(sequences=st.integers(1, 400), batch=st.integers(1, 200), rate=st.sampled_from([0.0, 1.0]))
def test_the_budget_is_never_exceeded(sequences: int, batch: int, rate: float) -> None:
    """The last batch is as small as it must be; a member that is never solved uses all of it."""
    member = knowing(rate)
    measured = attempt(member, ladder(sequences=sequences), batch_size=batch).run(no_tick)
    assert measured.sequences == sum(member.sizes) <= sequences
    assert all(size == batch for size in member.sizes[:-1])
    assert measured.looks >= 1
    if rate == 0.0:
        assert sum(member.sizes) == sequences
        assert measured.ended_by == "budget"
    else:
        assert measured.ended_by == "solved"


def test_cost_is_three_forward_passes_a_sequence() -> None:
    member = knowing(0.0)
    measured = attempt(member, ladder(sequences=100)).run(no_tick)
    assert measured.training_gflop == pytest.approx(100 * 3e-9 * (1000 * (LAG + 1) + 1), rel=1e-12)


def test_the_budget_can_be_one_of_cost() -> None:
    """What 100 sequences cost is reached by the seventh batch of 16; then comes the last look."""
    most = 100 * 3e-9 * (1000 * (LAG + 1) + 1)
    measured = attempt(knowing(0.0), ladder(gflop=most)).run(no_tick)
    assert (measured.ended_by, measured.sequences) == ("budget", 112)
    assert (measured.looks, measured.training_gflop >= most) == (1, True)
    to_the_letter = attempt(knowing(0.0), ladder(gflop=measured.training_gflop)).run(no_tick)
    assert to_the_letter.sequences == 112


def test_every_training_step_but_the_last_is_told() -> None:
    told: list[int] = []
    attempt(knowing(0.0), ladder(sequences=100)).run(lambda t: told.append(t.progress.sequences))
    assert told == [16, 32, 48, 64, 80, 96]


# Cut off


class Noting(KnowingMember):
    """Knows a half, and keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__(lambda step: 0.5, lambda step: 1 / (step + 1))
        self.shown: list[Tensor] = []

    def learn(self, batch: Batch) -> tuple[float, int]:
        self.shown.append(batch.inputs)
        return super().learn(batch)


class CutOffError(Exception):
    """The machine is gone."""


def cut_off_after(sequences: int) -> Tick:
    def tick(training: RungTraining) -> None:
        if training.progress.sequences == sequences:
            raise CutOffError

    return tick


def rehearsing(member: KnowingMember, **changes: Any) -> RungTraining:
    steps = ladder(start=2, stop=8, sequences=400, stall=None)
    return attempt(member, steps, lag=8, regime=REHEARSING, **changes)


def test_what_is_drawn_follows_from_the_seed_alone() -> None:
    """Lags and sequences; whatever else in the process draws numbers."""
    drawn = []
    for others in (1, 2):
        torch.manual_seed(others)
        member = Noting()
        rehearsing(member).run(no_tick)
        drawn.append(member.shown)
    assert len({batch.shape[1] for batch in drawn[0]}) == 3
    assert [b.tolist() for b in drawn[0]] == [b.tolist() for b in drawn[1]]


def test_cut_off_it_goes_on_as_if_left_in_peace() -> None:
    """The same sequences, the same tallies, and seconds that count on from where they stood."""
    peaceful, member = Noting(), Noting()
    told: list[dict[str, Any]] = []
    expected = rehearsing(peaceful, clock=Ticking()).run(lambda t: told.append(t.state()))
    training = rehearsing(member, clock=Ticking())
    with pytest.raises(CutOffError):
        training.run(cut_off_after(192))
    state = training.state()
    assert set(state) == {"progress", "stretches", "recent", "generators"}
    resumed = rehearsing(member, clock=Ticking())
    resumed.restore(state)
    assert (resumed.progress, resumed.recent) == (training.progress, training.recent)
    assert vars(resumed.stretches) == vars(training.stretches)
    again: list[dict[str, Any]] = []
    assert resumed.run(lambda t: again.append(t.state())) == expected
    assert [b.tolist() for b in member.shown] == [b.tolist() for b in peaceful.shown]
    assert [told[-1]["recent"], told[-1]["stretches"]] == [
        again[-1]["recent"],
        again[-1]["stretches"],
    ]
