"""One member on one rung: when it looks, what a look costs, and how the attempt ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from itertools import pairwise
from typing import Any, Self

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
    recall,
)
from trainables.measure.records import MemberRung
from trainables.measure.reliability import look_confidence, lower_bound, successes_needed
from trainables.randomness import Streams
from trainables.tasks.recall import Recall
from trainables.tasks.task import Batch, Split
from trainables.training import rung
from trainables.training.evaluation import Tally
from trainables.training.memory import out_of_memory
from trainables.training.rung import RungTraining, Tick

REHEARSING = {"kind": "incremental", "rehearsal_fraction": 0.75}


def flat(step: int) -> float:
    return 1.0


# Solved, and what it takes


def test_a_member_that_knows_is_solved_at_the_first_look() -> None:
    """As soon as there are 128 recent sequences to judge by."""
    member = knowing(1.0)
    measured = attempt(member, ladder()).run(no_tick)
    assert (measured.ended_by, measured.solved, measured.sequences) == ("solved", True, 128)
    assert (measured.looks, measured.test_sequences) == (1, 100)
    assert measured.success_rate == 1.0
    assert measured.lower_bound == lower_bound(100, 100, look_confidence(1))


def test_a_row_says_whose_it_is() -> None:
    member = knowing(1.0)
    member.number = 2
    steps = ladder(start=2, stop=8)
    measured = attempt(member, steps, lag=8, name="recall-2").run(no_tick)
    assert (measured.task, measured.lag, measured.member) == ("recall-2", 8, 2)


def test_a_rate_above_the_success_is_not_enough_without_its_bound() -> None:
    """Ten of ten right establish 0.69 at the first look, so 0.8 is not solved by any rate."""
    measured = attempt(knowing(1.0), ladder(test_sequences=10)).run(no_tick)
    assert measured.success_rate == 1.0
    assert measured.lower_bound < 0.8
    assert measured.ended_by == "budget"


def test_looking_often_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that look as often as they can, right in exactly ``success``: at most 5 % solve.

    More than 10 of 100 would, if it were 5 %, in one run of a hundred; the seeds are fixed. Looks
    at 95 % each would solve a third of them.
    """

    def luck(model: Any, task: Any, lag: int, sequences: int, draws: Any, _: Any) -> Tally:
        if sequences == 256:  # the selection never holds a look back
            return Tally(256, 256)
        return Tally(int((torch.rand(sequences, generator=draws) < 0.8).sum()), sequences)

    monkeypatch.setattr(rung, "evaluate", luck)
    measured = [
        attempt(knowing(1.0), ladder(), seed, batch_size=128).run(no_tick) for seed in range(100)
    ]
    assert sum(m.solved for m in measured) <= 10
    assert all(m.looks >= 8 for m in measured if not m.solved)


def test_members_above_the_success_do_solve() -> None:
    measured = [attempt(knowing(0.97, seed=s), ladder(), s).run(no_tick) for s in range(10)]
    assert all(m.solved for m in measured)


class Scripted:
    """Evaluations with the successes wanted, in turn; of which split, and after how many."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *rates: float) -> None:
        self.rates = iter(rates)
        self.calls: list[tuple[int, int]] = []
        monkeypatch.setattr(rung, "evaluate", self)
        self.member = knowing(1.0)

    def __call__(self, model: Any, task: Any, lag: int, sequences: int, *_: Any) -> Tally:
        self.calls.append((sum(self.member.sizes), sequences))
        return Tally(round(next(self.rates) * sequences), sequences)


class ThreeSplits(Recall):
    """A task that says which of its splits it is."""

    name: Split | None = None

    def split(self, name: Split) -> Self:
        named = copy(self)
        named.name = name
        return named


def test_the_selection_and_the_look_draw_each_from_a_split_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a generator of its own too: what is selected by says nothing about the held-out test."""
    drawn: list[tuple[int, Split | None, int]] = []

    def note(
        model: Any, task: ThreeSplits, lag: int, sequences: int, draws: torch.Generator, _: Any
    ) -> Tally:
        drawn.append((sequences, task.name, draws.initial_seed()))
        return Tally(sequences, sequences)

    monkeypatch.setattr(rung, "evaluate", note)
    task, streams = ThreeSplits(Recall.Config(alphabet=4)), Streams(0, "0" * 64)
    attempt(knowing(1.0), ladder(), task=task).run(no_tick)
    assert drawn == [
        (256, "selection", streams.seed_of("selection", LAG, 0)),
        (100, "test", streams.seed_of("test", LAG, 0)),
    ]


def test_rates_just_as_wanted_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the recent sequences, of the selection, and of the look the bound itself."""
    needed = successes_needed(128, 0.8, look_confidence(1))
    assert needed is not None
    script = Scripted(monkeypatch, needed / 128, needed / 128)
    script.member.learn = lambda batch: script.member.sizes.append(128) or (1.0, needed)  # type: ignore[func-returns-value,method-assign]
    bound = lower_bound(needed, 128, look_confidence(1))
    steps = ladder(test_sequences=128, success=bound)
    monkeypatch.setattr(rung, "rate_needed", lambda *_: needed / 128)
    measured = attempt(script.member, steps, batch_size=128).run(no_tick)
    assert script.calls == [(128, 256), (128, 128)]
    assert (measured.ended_by, measured.lower_bound) == ("solved", bound)


def test_the_rate_wanted_is_that_of_the_next_look_at_what_the_test_can_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At lag 2 there are so few sequences that the test shows each of them once."""

    class Few(Recall):
        def distinct_sequences(self, lag: int) -> int | None:
            return 64 if lag == LAG else None

    asked: list[tuple[int, float, int]] = []

    def note(*wanted: Any) -> float:
        asked.append(wanted)
        return 0.5

    monkeypatch.setattr(rung, "rate_needed", note)
    for task, shown in ((recall(), 100), (Few(Recall.Config(alphabet=4)), 64)):
        asked.clear()
        script = Scripted(monkeypatch, 1.0, 0.0, 1.0, 1.0)
        attempt(script.member, ladder(), batch_size=128, task=task).run(no_tick)
        assert asked == [(shown, 0.8, 1), (shown, 0.8, 2)]


def test_on_a_paired_task_only_a_member_that_is_done_learning_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Paired(Recall):
        paired = True

    script = Scripted(monkeypatch, 1.0)
    task = Paired(Recall.Config(alphabet=4))
    attempt(script.member, ladder(sequences=320), task=task).run(no_tick)
    assert script.calls == [(320, 100)]


def test_a_selection_that_fails_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """For 128 sequences, or a tenth of those used; and no look is spent."""
    script = Scripted(monkeypatch, 0.0, 0.0, 0.0, 1.0, 1.0)
    measured = attempt(script.member, ladder(sequences=10_000), batch_size=16).run(no_tick)
    assert script.calls == [(128, 256), (256, 256), (384, 256), (512, 256), (512, 100)]
    assert (measured.looks, measured.ended_by) == (1, "solved")
    script = Scripted(monkeypatch, *[0.0] * 14, 1.0, 1.0)
    attempt(script.member, ladder(sequences=10_000), batch_size=16).run(no_tick)
    asked = [shown for shown, _ in script.calls]
    assert asked[12:15] == [1712, 1888, 2080]  # from 1280 on, a tenth is the longer pause


def test_a_look_that_fails_spends_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What passes a first look fails a second one. After each, 128 sequences of pause."""
    first = successes_needed(100, 0.8, look_confidence(1))
    second = successes_needed(100, 0.8, look_confidence(2))
    assert first is not None
    assert second is not None
    assert first < second
    script = Scripted(monkeypatch, 1.0, (first - 1) / 100, 1.0, first / 100, 1.0, 1.0)
    measured = attempt(script.member, ladder(sequences=10_000), batch_size=16).run(no_tick)
    assert [at for at, shown in script.calls if shown == 100] == [128, 256, 384]
    assert (measured.looks, measured.ended_by) == (3, "solved")


def test_after_looks_that_failed_the_pause_is_a_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Scripted(monkeypatch, *[1.0, 0.5] * 7, 1.0, 1.0)
    attempt(script.member, ladder(sequences=10_000), batch_size=16).run(no_tick)
    asked = [at for at, shown in script.calls if shown == 100]
    assert asked == [128, 256, 384, 512, 640, 800, 1008, 1264]  # 800 + 200 and 1008 + 252


def test_the_bound_recorded_is_that_of_the_look_that_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Scripted(monkeypatch, 1.0, 0.5, 1.0, 0.95)
    measured = attempt(script.member, ladder()).run(no_tick)
    assert (measured.looks, measured.success_rate) == (2, 0.95)
    assert measured.lower_bound == lower_bound(95, 100, look_confidence(2))


def test_a_poor_member_looks_once_at_the_end_of_its_budget() -> None:
    measured = attempt(knowing(0.5), ladder()).run(no_tick)
    assert (measured.ended_by, measured.solved) == ("budget", False)
    assert (measured.looks, measured.test_sequences) == (1, 100)
    assert 0.3 < measured.success_rate < 0.7
    assert measured.lower_bound < measured.success_rate


def test_weights_that_failed_a_look_are_not_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last batch's look failed: it is the one recorded, and spends no second part of error."""
    script = Scripted(monkeypatch, 1.0, 0.5, 1.0)
    measured = attempt(script.member, ladder(sequences=128), batch_size=16).run(no_tick)
    assert script.calls == [(128, 256), (128, 100)]
    assert (measured.looks, measured.ended_by) == (1, "budget")
    assert (measured.success_rate, measured.test_sequences) == (0.5, 100)
    assert measured.lower_bound == lower_bound(50, 100, look_confidence(1))


def test_weights_trained_on_after_a_look_are_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch later they are others."""
    script = Scripted(monkeypatch, 1.0, 0.5, 1.0)
    measured = attempt(script.member, ladder(sequences=144), batch_size=16).run(no_tick)
    assert script.calls == [(128, 256), (128, 100), (144, 100)]
    assert (measured.looks, measured.ended_by) == (2, "solved")


def test_the_look_at_the_end_of_the_budget_can_solve() -> None:
    """A budget below the 128 recent sequences leaves the last look only."""
    measured = attempt(knowing(1.0), ladder(sequences=100)).run(no_tick)
    assert (measured.ended_by, measured.sequences) == ("solved", 100)
    assert measured.looks == 1


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


# Rehearsal


def rehearsed(fraction: float, sequences: int = 3000) -> tuple[KnowingMember, MemberRung]:
    regime = {"kind": "incremental", "rehearsal_fraction": fraction}
    member = knowing(0.0)
    steps = ladder(start=2, stop=16, sequences=sequences, stall=None)
    return member, attempt(member, steps, lag=16, batch_size=8, regime=regime).run(no_tick)


def test_rehearsal_goes_back_evenly_and_counts_in_the_budget_and_cost() -> None:
    """375 batches, 0.4 of them rehearsals: 150 of lags 2, 4 and 8, at five standard deviations."""
    member, measured = rehearsed(0.4)
    lags = [length - 1 for length in member.lengths]
    assert measured.sequences == sum(member.sizes) == 3000
    assert len(lags) - lags.count(16) == pytest.approx(150, abs=48)
    for lag in (2, 4, 8):
        assert lags.count(lag) == pytest.approx(50, abs=33)
    flops = sum(8 * (1000 * length + 1) for length in member.lengths)
    assert measured.training_gflop == pytest.approx(3e-9 * flops, rel=1e-9)


def test_success_is_watched_at_the_rungs_own_lag() -> None:
    """A member that knows the short lags only is never looked at before its budget is gone."""
    regime = {"kind": "incremental", "rehearsal_fraction": 0.8}
    member = knowing(0.0)
    training = attempt(member, ladder(start=2, stop=16), lag=16, batch_size=8, regime=regime)
    member.success = lambda step: float(member.lengths[-1] < 17)
    rates: list[float] = []
    measured = training.run(lambda t: rates.append(t.recent_rate))
    assert set(rates) == {0.0}
    assert measured.looks == 1


def test_without_a_rung_below_there_is_nothing_to_rehearse() -> None:
    regime = {"kind": "incremental", "rehearsal_fraction": 0.9}
    member = knowing(0.0)
    attempt(member, ladder(), regime=regime).run(no_tick)
    assert set(member.lengths) == {LAG + 1}


# The recent sequences


@settings(max_examples=15)
@given(batch=st.integers(1, 200))
def test_the_recent_sequences_are_the_fewest_batches_that_hold_128(batch: int) -> None:
    def check(training: RungTraining) -> None:
        sizes = [size for _, size, _ in training.recent]
        used = training.progress.sequences
        assert sum(sizes) - sizes[0] < 128
        assert sum(sizes) >= min(128, used)

    attempt(knowing(0.5), ladder(sequences=400), batch_size=batch).run(check)


def test_the_recent_loss_is_the_mean_over_them() -> None:
    """Known losses, one a batch of 64: the mean of the last two; at first, the only one."""
    seen: list[tuple[float, float]] = []

    def check(training: RungTraining) -> None:
        seen.append((training.progress.loss, training.recent_loss))

    attempt(knowing(0.0), ladder(sequences=384), batch_size=64).run(check)
    losses = [loss for loss, _ in seen]
    assert len(set(losses)) == len(losses) > 3
    assert seen[0][1] == pytest.approx(losses[0])
    for (earlier, _), (loss, recent) in pairwise(seen):
        assert recent == pytest.approx((earlier + loss) / 2)


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
