"""A member that goes ahead: what it spends, what it keeps, and that it claims nothing by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.trainables.small_trials import SMALL, in_peace, run
from tests.trainables.training.stand_ins import (
    attempt,
    knowing,
    ladder,
    no_tick,
    trial_config,
)
from trainables.measure.ladder_config import AHEAD, LadderConfig
from trainables.tasks.recall import Recall
from trainables.training import climber as module
from trainables.training.rung import RungTraining, Tick
from trainables.trial import TrialSpec

LADDER = LadderConfig(start=4, stop=64, ahead=32, sequences=1000, gflop=10.0, members=1, quorum=1)


def test_a_fifth_of_the_budget_may_be_spent_ahead() -> None:
    before = LADDER.before_the_first
    assert before is not None
    assert (before.stop, before.sequences, before.gflop) == (32, 200, pytest.approx(2.0))
    assert before.rungs == (4, 8, 16, 32)
    assert LadderConfig().before_the_first is None
    assert LadderConfig(start=8, ahead=8).before_the_first is None
    assert "ahead" not in LadderConfig().model_dump()


def test_a_fresh_member_goes_ahead_as_far_whatever_it_is_sent_to() -> None:
    """A certificate cuts the ladder off at the lag that it tries; the procedure stays the same."""
    for goal in (4, 16, 64):
        sent = LADDER.of_every_rung.model_copy(update={"stop": goal})
        assert sent.before_the_first == LADDER.of_every_rung.before_the_first


def test_not_with_a_success_relative_to_the_skill() -> None:
    with pytest.raises(ValidationError, match="ahead: not with a success"):
        LadderConfig.model_validate({"success": {"relative": 0.9}, "ahead": 16})


# On a rung


def test_looked_at_first_a_member_that_knows_is_not_trained() -> None:
    member = knowing(1.0)
    steps = ladder(test_sequences=512, looks="sequential")
    measured = attempt(member, steps, looks_first=True).run(no_tick)
    assert (measured.ended_by, measured.sequences, measured.looks) == ("solved", 0, 1)
    assert member.sizes == []
    assert sum(shape[0] for shape in member.model.shapes) == 3 * 64


def test_looked_at_first_a_member_that_knows_nothing_is_trained_and_has_spent_no_look() -> None:
    member = knowing(lambda step: 1.0 if step > 20 else 0.2)
    member.model.success = 0.2
    steps = ladder(test_sequences=512, looks="sequential")
    measured = attempt(member, steps, looks_first=True).run(no_tick)
    assert (measured.ended_by, measured.looks) == ("solved", 1)
    assert measured.sequences >= 128


def test_ahead_nothing_is_looked_at() -> None:
    """It ends where a look would be taken; what it was selected by is no held-out sequence."""
    member = knowing(1.0)
    training = attempt(member, ladder(test_sequences=512, looks="sequential"), claims=False)
    measured = training.run(no_tick)
    assert (measured.ended_by, measured.looks, measured.test_sequences) == ("solved", 0, 0)
    assert (measured.sequences, measured.lower_bound) == (128, 0.0)
    assert sum(shape[0] for shape in member.model.shapes) == 128 + 64


def test_ahead_all_is_drawn_from_streams_of_its_own() -> None:
    """A rung at the same lag later shows nothing that was trained on, or selected by, ahead."""
    steps = ladder()
    ahead, on_rung = (attempt(knowing(), steps, claims=claims) for claims in (False, True))
    for split in ("train", "selection", "test"):
        seeds = {one.generators[split].initial_seed() for one in (ahead, on_rung)}
        assert len(seeds) == 2


# In a climb


def noted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, bool, bool]]:
    """Each attempt: its lag, its member, whether it claims, whether it looks first."""
    found: list[tuple[int, int, bool, bool]] = []

    class Noting(RungTraining):
        def run(self, tick: Tick) -> Any:
            found.append((self.lag, self.member.number, self.claims, self.looks_first))
            return super().run(tick)

    monkeypatch.setattr(module, "RungTraining", Noting)
    return found


def trial(regime: str, **changes: Any) -> TrialSpec:
    steps = {**SMALL, "start": 2, "members": 1, "quorum": 1, "looks": "sequential", **changes}
    config = trial_config("lstm", regime)
    return TrialSpec(config, {"recall": Recall.Config(alphabet=2)}, LadderConfig(**steps), 0)


def test_who_gets_there_keeps_its_weights_and_looks_before_it_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = noted(monkeypatch)
    result, _ = run(trial("incremental", sequences=8000, ahead=4), tmp_path)
    assert found == [(4, 0, False, False), (2, 0, True, True), (4, 0, True, True),
                     (8, 0, True, True)]  # fmt: skip
    assert (result.ended_by, result.reach) == ("top", 8)
    assert [row.sequences > 0 for row in result.rows] == [True, False, False]


def test_who_does_not_begins_at_the_first_rung_as_if_it_had_not_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first rung's row is what it is without, but for what was spent ahead."""
    without, _ = run(trial("incremental", sequences=640), tmp_path / "without")
    found = noted(monkeypatch)
    result, _ = run(trial("incremental", sequences=640, ahead=8), tmp_path / "ahead")
    assert found[:3] == [(8, 0, False, False), (2, 0, True, False), (4, 0, True, True)]
    first, expected = result.rows[0], without.rows[0]
    assert first.solved
    assert first.sequences == expected.sequences + AHEAD * 640
    assert first.training_gflop > expected.training_gflop
    spent = {"sequences": 0, "seconds": 0.0, "training_gflop": 0.0, "peak_memory_bytes": 0}
    assert replace(first, **spent) == replace(expected, **spent)


def test_ahead_of_the_first_rung_is_nothing_and_others_are_looked_at_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = noted(monkeypatch)
    run(trial("incremental", sequences=8000, ahead=2), tmp_path)
    assert found == [(2, 0, True, False), (4, 0, True, True), (8, 0, True, True)]


def test_where_no_weights_are_carried_nobody_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = noted(monkeypatch)
    run(trial("scratch", sequences=640, ahead=4), tmp_path)
    assert all(claims and not first for _, _, claims, first in found)


def test_what_was_spent_ahead_counts_at_once() -> None:
    """Sequences and cost never fall from report to report."""
    result, reports, _, _ = in_peace("ahead")
    for spent in ("sequences", "training_gflop"):
        counts = [getattr(report, spent) for report in reports]
        assert counts == sorted(counts)
    steps = [point.sequences for point in result.trace]
    assert steps == sorted(steps)
    assert any(row.solved and row.sequences == 0 for row in result.rows)


def test_memory_that_others_hold_is_no_outcome_ahead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(module.Climber, "_start", full)
    spec = replace(trial("incremental", ahead=4), shared_device=True)
    with pytest.raises(torch.OutOfMemoryError):
        run(spec, tmp_path)
