"""A member trained on a rung until a look solves it: what it takes, and what it is shown."""

from __future__ import annotations

from copy import copy
from itertools import pairwise
from typing import Any, Self

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
from trainables.tasks.task import Split
from trainables.training.held_out import looks
from trainables.training.held_out.evaluation import Tally
from trainables.training.rung import RungTraining

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

    def luck(model: Any, task: Any, lag: int, sequences: int, draws: Any, *_: Any) -> Tally:
        if sequences == 256:  # the selection never holds a look back
            return Tally(256, 256)
        return Tally(int((torch.rand(sequences, generator=draws) < 0.8).sum()), sequences)

    monkeypatch.setattr(looks, "evaluate", luck)
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
        monkeypatch.setattr(looks, "evaluate", self)
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
        model: Any, task: ThreeSplits, lag: int, sequences: int, draws: torch.Generator, *_: Any
    ) -> Tally:
        drawn.append((sequences, task.name, draws.initial_seed()))
        return Tally(sequences, sequences)

    monkeypatch.setattr(looks, "evaluate", note)
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
    monkeypatch.setattr(looks, "rate_needed", lambda *_: needed / 128)
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

    def note(sequences: int, success: float, look: int, error: float) -> float:
        assert error == pytest.approx(0.05)
        asked.append((sequences, success, look))
        return 0.5

    monkeypatch.setattr(looks, "rate_needed", note)
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
    script = Scripted(monkeypatch, 0.5, 1.0)
    measured = attempt(script.member, ladder(sequences=128), batch_size=16).run(no_tick)
    assert script.calls == [(128, 100)]  # taken in any case, so nothing is selected by
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
