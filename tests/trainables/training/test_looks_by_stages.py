"""A member on a rung whose looks end as soon as they are decided."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import pytest
import torch

from tests.trainables.training.stand_ins import (
    CPU,
    LAG,
    KnowingModel,
    as_model,
    attempt,
    knowing,
    ladder,
    no_tick,
    recall,
    seeded,
)
from trainables.controls.rivals import Compared
from trainables.measure.looks.sizes import sizes
from trainables.measure.looks.stages import Stages
from trainables.measure.reliability import look_confidence
from trainables.tasks.task import Batch
from trainables.training.held_out.evaluation import each_stage, tallies
from trainables.training.held_out.looks import HeldOut
from trainables.training.rung import RungTraining

STAGES = sizes(512)


def stepwise(**changes: Any) -> Any:
    return ladder(test_sequences=512, looks="sequential", **changes)


def shown(member: Any) -> int:
    """Sequences that a member was shown, without those it trained on."""
    return sum(shape[0] for shape in member.model.shapes) - sum(member.sizes)


def test_a_member_that_knows_is_shown_the_first_stage_of_each_test() -> None:
    """64 to select by, 64 of the look, and these once more beside the controls."""
    member = knowing(1.0)
    measured = attempt(member, stepwise()).run(no_tick)
    assert (measured.ended_by, measured.sequences, measured.looks) == ("solved", 128, 1)
    assert (measured.test_sequences, measured.success_rate) == (64, 1.0)
    assert shown(member) == 3 * 64
    stages = Stages.of(512, 0.8, 1 - look_confidence(1))
    assert measured.lower_bound == stages.lower_bound(0, 64, 1 - look_confidence(1)) > 0.8
    whole = knowing(1.0)
    attempt(whole, ladder(test_sequences=512)).run(no_tick)
    assert shown(whole) == 256 + 2 * 512


def test_the_last_look_of_a_poor_member_is_gone_through() -> None:
    """What a failed rung showed is a share of as many sequences as ever."""
    measured = attempt(knowing(0.5), stepwise()).run(no_tick)
    assert (measured.ended_by, measured.looks) == ("budget", 1)
    assert measured.test_sequences == 512
    assert 0.4 < measured.success_rate < 0.6
    assert 0.3 < measured.lower_bound < measured.success_rate


def test_a_hopeless_look_is_given_up_and_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that is right as it trains and selects, and not when it is looked at."""
    monkeypatch.setattr(HeldOut, "selected", lambda *_: True)
    member = knowing(1.0)
    learn = member.learn

    def trained(batch: Batch) -> tuple[float, int]:
        found = learn(batch)
        member.model.success = 0.3
        return found

    member.learn = trained  # type: ignore[method-assign]
    measured = attempt(member, stepwise()).run(no_tick)
    assert not measured.solved
    assert measured.looks > 3
    assert shown(member) == 64 * (measured.looks - 1) + 512


def test_the_controls_are_to_be_beaten_at_a_stages_part_of_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked at each stage from the one on at which the rate is established; never beaten here."""
    asked: list[float] = []
    monkeypatch.setattr(Compared, "beaten", lambda self, sure: bool(asked.append(sure)))
    measured = attempt(knowing(1.0), stepwise(sequences=128)).run(no_tick)
    assert not measured.solved
    assert (measured.test_sequences, measured.lower_bound > 0.9) == (512, True)
    error = 1 - look_confidence(1)
    parts = [1 / 6, 1 / 6, 1 / 6, 1 / 2]
    assert asked == [pytest.approx(1 - error * part) for part in parts]


def test_looking_often_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members right in exactly ``success`` that look as often as they can: at most 5 % solve."""
    monkeypatch.setattr(RungTraining, "_likely_to_pass", always_by_pauses)
    measured = [
        attempt(knowing(0.8, seed=s), stepwise(), s, batch_size=128).run(no_tick)
        for s in range(100)
    ]
    assert sum(m.solved for m in measured) <= 10
    assert all(m.looks >= 8 for m in measured if not m.solved)


def always_by_pauses(training: RungTraining) -> bool:
    return training.progress.sequences >= training.progress.resume_at


def test_a_looser_boundary_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same members, where any stage may spend the whole of a look's error: far more solve."""
    monkeypatch.setattr(RungTraining, "_likely_to_pass", always_by_pauses)
    monkeypatch.setattr(
        Stages, "passes", lambda self, stage, found: found >= 0.8 * self.sizes[stage]
    )
    measured = [
        attempt(knowing(0.8, seed=s), stepwise(), s, batch_size=128).run(no_tick) for s in range(20)
    ]
    assert sum(m.solved for m in measured) > 10


def test_what_a_look_draws_hangs_on_no_earlier_one() -> None:
    """A look's sequences are the same, however much the looks before it have shown."""
    task, drawn = recall(), list[list[torch.Tensor]]()
    for passed in (0, 3):
        held_out = attempt(knowing(1.0), stepwise()).held_out
        first = held_out.each_stage("test", STAGES, held_out.drawing_of(1))
        for stage in islice(first, passed):
            list(stage)
        second = held_out.each_stage("test", STAGES, held_out.drawing_of(2))
        drawn.append([batch.inputs for stage in second for batch, _ in stage])
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
    assert task.distinct_sequences(LAG) is None


@pytest.mark.parametrize("ends", [(64, 128, 256, 512), (64, 100), (50,), (64, 128, 256, 359)])
def test_a_stage_shows_what_it_says_and_no_more(ends: tuple[int, ...]) -> None:
    """Together they are one draw; a model is in training again after each."""
    model = KnowingModel(seed=0)
    model.train()
    seen: list[int] = []
    for stage in each_stage(as_model(model), recall(), LAG, ends, seeded(), CPU):
        assert sum(len(batch.inputs) for batch, _ in stage) == ends[len(seen)] - sum(seen)
        seen.append(sum(shape[0] for shape in model.shapes) - sum(seen))
        assert model.training
    assert sum(seen) == ends[-1]
    assert not any(model.was_training)


def test_a_long_lag_is_shown_in_few_sequences_at_once() -> None:
    """2^18 steps at once at most, and stages end all the same where they should."""
    model = KnowingModel(seed=0)
    lag = 2**14
    for stage in islice(each_stage(as_model(model), recall(), lag, (64, 128), seeded(), CPU), 1):
        assert sum(len(batch.inputs) for batch, _ in stage) == 64
    assert {shape[0] for shape in model.shapes} == {8}


def test_shown_again_in_another_order_they_are_the_same_sequences() -> None:
    def inputs(mixed: bool) -> list[torch.Tensor]:
        model = as_model(KnowingModel())
        stages = each_stage(model, recall(), LAG, STAGES, seeded(), CPU, mixed)
        return [batch.inputs for stage in stages for batch, _ in stage]

    assert all(torch.equal(a, b) for a, b in zip(inputs(False), inputs(True), strict=True))


def test_tallies_add_up() -> None:
    model = as_model(KnowingModel(success=0.5))
    found = list(tallies(recall(), each_stage(model, recall(), LAG, STAGES, seeded(), CPU)))
    assert [one.sequences for one in found] == list(STAGES)
    assert [one.answers for one in found] == list(STAGES)
    assert all(a.successes < b.successes for a, b in pairwise(found))
