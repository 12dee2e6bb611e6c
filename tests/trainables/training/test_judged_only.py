"""Rungs above `train_to`: judged with the weights as they come, and never trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.training.stand_ins import (
    CPU,
    KnowingMember,
    attempt,
    knowing,
    ladder,
    no_tick,
    recall,
    trial_config,
)
from trainables.controls.rivals import Compared
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.reliability import look_confidence, lower_bound
from trainables.models.model import build
from trainables.training.climber import Climber, trial_streams
from trainables.training.closing_measurement import ClosingMeasurement
from trainables.training.member import Member
from trainables.training.rung import RungTraining
from trainables.trial import TrialSpec, run_trial

LADDER: dict[str, Any] = {"start": 4, "stop": 32, "members": 2, "quorum": 2}
EASY = 0.05
"""A success of which a guess is enough, where no control has to be beaten."""


@pytest.fixture
def unrivalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No control has to be beaten: all is solved at the first look."""
    monkeypatch.setattr(Compared, "beaten", lambda self, confidence: True)


def judged(member: KnowingMember, **changes: Any) -> RungTraining:
    """An attempt at a rung above the last that is trained on."""
    return attempt(member, ladder(stop=16, train_to=8), lag=16, **changes)


def test_it_is_solved_by_one_look_and_no_training() -> None:
    member = knowing(1.0)
    row = judged(member).run(no_tick)
    assert (row.ended_by, row.sequences, row.looks, row.training_gflop) == ("solved", 0, 1, 0)
    assert member.sizes == []
    assert row.lower_bound == lower_bound(100, 100, look_confidence(1))


def test_who_does_not_succeed_is_called_untrained_after_one_look() -> None:
    member = knowing(1.0)
    member.model.success = 0.85  # above the 0.8 asked for, which 100 sequences do not establish
    row = judged(member).run(no_tick)
    assert (row.ended_by, row.solved, row.looks, row.sequences) == ("untrained", False, 1, 0)
    assert row.test_sequences == 100
    assert row.lower_bound < 0.8 < row.success_rate


def test_rungs_up_to_it_are_trained_on() -> None:
    member = knowing(1.0)
    row = attempt(member, ladder(stop=16, train_to=8), lag=8).run(no_tick)
    assert row.solved
    assert row.sequences == sum(member.sizes) > 0


@pytest.mark.parametrize("looks_first", [False, True])
def test_members_train_out_on_the_last_rung_trained_on_and_on_no_other(looks_first: bool) -> None:
    """There they are looked at once, when the budget is gone; what succeeds already, too."""
    steps = ladder(stop=16, train_to=8, train_out=True, stall=None)
    member = knowing(1.0)
    row = attempt(member, steps, lag=8, looks_first=looks_first).run(no_tick)
    assert (row.ended_by, row.looks, row.sequences) == ("solved", 1, steps.sequences)
    assert row.lower_bound == lower_bound(100, 100, look_confidence(1))
    row = attempt(knowing(1.0), steps, lag=4, looks_first=looks_first).run(no_tick)
    assert row.solved
    assert row.sequences < steps.sequences
    row = attempt(knowing(1.0), steps, lag=16).run(no_tick)
    assert (row.solved, row.sequences) == (True, 0)


@pytest.mark.usefixtures("unrivalled")
@pytest.mark.parametrize("regime", ["incremental", "scratch"])
def test_judged_are_the_weights_that_solved_the_last_rung_trained_on(
    tmp_path: Path, regime: str
) -> None:
    """Also where every rung trained on begins anew, and where the climb is cut off between."""
    seen: dict[tuple[int, int], dict[str, Tensor]] = {}

    class Watched(Climber):
        def _keep_weights(self, member: Member, lag: int) -> None:
            weights = member.judged.state_dict()
            seen[lag, member.number] = {name: value.clone() for name, value in weights.items()}
            super()._keep_weights(member, lag)

    def climber() -> Watched:
        return Watched(
            config=trial_config(regime=regime),
            name="recall",
            task=recall(),
            task_config=recall().config,
            ladder=ladder(**LADDER, success=EASY, train_to=8),
            seed=7,
            weights=tmp_path,
            device=CPU,
            tick=no_tick,
            measured=lambda row: None,
        )

    whole = climber()
    found = whole.climb()
    assert (found.reach, found.ended_by) == (32, "top")
    assert [(row.lag, row.sequences > 0) for row in found.outcomes] == [
        (4, True), (4, True), (8, True), (8, True), (16, False), (16, False), (32, False),
        (32, False),
    ]  # fmt: skip
    for member in range(2):
        assert same(seen[16, member], seen[8, member])
        assert same(seen[32, member], seen[8, member])
        assert not same(seen[8, member], seen[4, member])

    trained, state, resumed = dict(seen), whole.state(), climber()
    seen.clear()
    resumed.restore({**state, "rows": [row for row in state["rows"] if row["lag"] <= 8]})
    again = resumed.climb()
    assert [row.success_rate for row in again.outcomes] == [
        row.success_rate for row in found.outcomes
    ]
    assert set(seen) == {(16, 0), (16, 1), (32, 0), (32, 1)}
    assert all(same(seen[at], trained[at]) for at in seen)


@pytest.mark.usefixtures("unrivalled")
@pytest.mark.parametrize("regime", ["incremental", "scratch"])
def test_the_curve_says_what_was_learned_and_what_was_not(tmp_path: Path, regime: str) -> None:
    """And the horizon at first weights is theirs who solved the last rung trained on."""
    steps = ladder(**LADDER, success=EASY, train_to=8)
    config = trial_config(regime=regime)
    spec = TrialSpec(config, {"recall": recall().config}, steps, 7)
    ended = run_trial(spec, tmp_path, lambda *_: None, CPU)
    assert (ended.reach, ended.ended_by) == (32, "top")
    learned = {point.lag: point.learned for point in ended.final["recall"].curve}
    assert {lag: learned[lag] for lag in (4, 8, 16, 32)} == {4: True, 8: True, 16: False, 32: False}
    closing = ClosingMeasurement(
        config, steps, "recall", recall(), ended.rows, tmp_path / "weights",
        trial_streams(config, recall().config, 7), CPU,
    )  # fmt: skip
    first = closing._first(32, 1)
    assert first is not None
    rung = 4 if regime == "incremental" else 8
    seed = closing.streams.seed_of("weights", rung, 1)
    assert same(first.state_dict(), build(config.model, recall(), seed).state_dict())


def test_a_ladder_says_which_rungs_are_trained_on() -> None:
    assert ladder(stop=32, train_to=15).trained_rungs == (4, 8)
    assert ladder(stop=32).trained_rungs == (4, 8, 16, 32)
    assert not {"train_to", "train_out"} & set(LadderConfig().model_dump())
    with pytest.raises(ValueError, match=r"train_to: 3 is not allowed; it must be at least start"):
        ladder(train_to=3)
    with pytest.raises(ValueError, match="train_out: true is not allowed without train_to"):
        ladder(train_out=True)
    with pytest.raises(ValueError, match=r"skip: 0.3 is not allowed with train_out"):
        ladder(train_to=8, train_out=True, skip=0.3)
    for start, train_to, rung in ((4, 15, 8), (4, 8, 8), (4, 4, 4), (3, 100, 96)):
        whole = ladder(start=start, stop=1000, train_to=train_to, train_out=True)
        assert [lag for lag in whole.rungs if whole.trains_out(lag)] == [rung]
        for goal in whole.rungs:  # as a certificate shortens it
            part = whole.model_copy(update={"stop": goal})
            assert [lag for lag in part.rungs if part.trains_out(lag)] == [rung] * (goal >= rung)
    assert not ladder(stop=32, train_to=8).trains_out(8)
    ahead = ladder(stop=32, train_to=16, train_out=True, ahead=16).before_the_first
    assert ahead is not None
    assert not ahead.trains_out(16)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())
