"""How a trial ends: at the top, out of time or memory, by a loss that is no number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.small_trials import (
    REHEARSING,
    SMALL,
    SPECS,
    Clock,
    CutOffError,
    fails_with,
    run,
)
from tests.trainables.training.stand_ins import CPU, trial_config
from trainables.measure.ladder import Climb, EndedClimb
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.report import Report
from trainables.models.model import Model, build
from trainables.tasks.recall import Recall
from trainables.training.member import Member
from trainables.trial import _ended, run_trial


def test_time_that_runs_out_ends_a_climb(tmp_path: Path) -> None:
    steps = LadderConfig(**{**SMALL, "seconds": 30})
    spec = replace(SPECS["increments"], ladder=steps, tasks={"recall": Recall.Config(alphabet=100)})
    result, _ = run(spec, tmp_path, Clock(10))
    assert result.ended_by == "time"
    assert {row.ended_by for row in result.rows} == {"time"}


@pytest.mark.parametrize(
    ("error", "row_ended_by", "ended_by"),
    [(MemoryError(), "memory", "memory"), (None, "nan", "failed_rung")],
)
def test_a_trial_that_cannot_train_is_an_outcome(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    row_ended_by: str,
    ended_by: str,
) -> None:
    monkeypatch.setattr(Member, "learn", fails_with(error))
    result, _ = run(SPECS["increments"], tmp_path)
    assert {row.ended_by for row in result.rows} == {row_ended_by}
    assert (result.ended_by, result.progress, result.reach) == (ended_by, 0, 0)


NO_MEMORY: list[Exception] = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
]


def builds_that_fail(monkeypatch: pytest.MonkeyPatch, error: Exception, after: int) -> None:
    """``after`` models are built, then each raises ``error``."""
    built = []

    def build_or_fail(*given: Any) -> Model:
        built.append(given)
        if len(built) > after:
            raise error
        return build(*given)

    monkeypatch.setattr("trainables.training.member.build", build_or_fail)
    monkeypatch.setattr("trainables.training.closing_measurement.build", build_or_fail)


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
def test_a_model_that_memory_cannot_hold_is_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """While it is built, before anything is trained; the row still says how large it would be."""
    builds_that_fail(monkeypatch, error, after=0)
    result, _ = run(SPECS["increments"], tmp_path)
    assert (result.ended_by, result.progress, result.horizon) == ("memory", 0, ())
    for row in result.rows:
        assert (row.ended_by, row.sequences, row.looks) == ("memory", 0, 0)
        assert row.parameters > 100


def test_memory_that_is_gone_on_a_later_rung_keeps_the_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From scratch each rung builds anew: here two members on the first, and none after."""
    spec = replace(
        SPECS["increments"],
        config=trial_config("lstm", "scratch"),
        tasks={"recall": Recall.Config(alphabet=2)},
    )
    builds_that_fail(monkeypatch, MemoryError(), after=2)
    result, _ = run(replace(spec, curve=False), tmp_path)
    assert (result.ended_by, result.reach) == ("memory", 4)


def test_memory_that_is_gone_after_a_crash_is_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members that were carried up are built again when a trial goes on."""
    spec = replace(SPECS["increments"], tasks={"recall": Recall.Config(alphabet=2)}, curve=False)

    def crash(report: Report, folder: Path | None) -> None:
        if len(report.rows) == 2:
            raise CutOffError

    with pytest.raises(CutOffError):
        run_trial(spec, tmp_path, crash, CPU, Clock())
    builds_that_fail(monkeypatch, MemoryError(), after=0)
    result, _ = run(spec, tmp_path)
    assert (result.ended_by, result.reach) == ("memory", 4)


def test_another_error_while_building_is_no_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds_that_fail(monkeypatch, RuntimeError("shapes do not match"), after=0)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(SPECS["increments"], tmp_path)


@pytest.mark.parametrize(("max_length", "reach"), [(4, 0), (8, 4), (9, 8)])
def test_learned_positions_end_a_climb_where_their_table_ends(
    tmp_path: Path, max_length: int, reach: int
) -> None:
    """At lags 4 and 8 recall shows 5 and 9 steps; what cannot be read costs no training."""
    positions = {"kind": "learned", "max_length": max_length}
    spec = replace(
        SPECS["increments"],
        config=trial_config("lstm", REHEARSING, positions=positions),
        tasks={"recall": Recall.Config(alphabet=2)},
    )
    result, _ = run(spec, tmp_path)
    assert (result.ended_by, result.reach) == ("length" if reach < 8 else "top", reach)
    beyond = [row for row in result.rows if row.lag > reach]
    assert [(r.ended_by, r.sequences) for r in beyond] == [("length", 0)] * (reach < 8)
    assert [point.lag for point in result.curve] == [lag for lag in (4, 8) if lag <= reach]
    assert bool(result.horizon) == (reach > 0)


@pytest.mark.parametrize(
    ("ends", "ended_by"),
    [
        (["top", "top"], "top"),
        (["top", "failed_rung"], "failed_rung"),
        (["memory", "failed_rung"], "memory"),
        (["top", "time"], "time"),
    ],
)
def test_a_trial_ends_as_its_first_task_that_did_not_reach_the_top(
    ends: list[EndedClimb], ended_by: EndedClimb
) -> None:
    assert _ended([Climb(0, (), end, ()) for end in ends]) == ended_by
