"""A trial, from first weights to outcome: reports, ends, and going on after being cut off."""

from __future__ import annotations

import functools
import math
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.trainables.training.stand_ins import CPU, trial_config
from trainables.files import checkpoint
from trainables.measure.ladder import Climb, EndedClimb
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import EndedRung, FinalPoints, MemberRung, best_member
from trainables.measure.report import Report
from trainables.models import kernels
from trainables.models.model import Model, build
from trainables.tasks.recall import Recall
from trainables.tasks.task import Batch
from trainables.training.member import Member
from trainables.trial import TrialSpec, _ended, measure_final, run_trial

SMALL: dict[str, Any] = {
    "start": 4,
    "stop": 8,
    "members": 2,
    "quorum": 2,
    "success": 0.7,
    "sequences": 1600,
    "test_sequences": 64,
}
REHEARSING = {"kind": "incremental", "rehearsal_fraction": 0.2}

SPECS: dict[str, TrialSpec] = {
    # climbs both ladders to the top
    "increments": TrialSpec(
        trial_config("lstm", REHEARSING),
        {"recall": Recall.Config(alphabet=2), "recall-2": Recall.Config(alphabet=3)},
        LadderConfig(**SMALL),
        seed=0,
    ),
    # climbs one, and fails the first rung of the other, whose budget is too small
    "scratch": TrialSpec(
        trial_config("gru", "scratch", learning_rate=0.02),
        {"recall": Recall.Config(alphabet=2), "recall-2": Recall.Config(alphabet=4)},
        LadderConfig(**{**SMALL, "members": 3, "sequences": 400, "stall": None}),
        seed=0,
    ),
}


class CutOffError(Exception):
    """The machine is gone."""


class Clock:
    """Goes on by so many seconds at each look, until the machine is gone.

    A trial looks at its clock twice in every training step.
    """

    def __init__(self, seconds_a_look: float = 0.0, cut_off_at: int | None = None) -> None:
        self.looks, self.seconds, self.cut_off_at = 0, seconds_a_look, cut_off_at

    def __call__(self) -> float:
        self.looks += 1
        if self.looks == self.cut_off_at:
            raise CutOffError
        return self.looks * self.seconds


Reports = list[Report]


def run(
    spec: TrialSpec, folder: Path, clock: Callable[[], float] | None = None
) -> tuple[Report, Reports]:
    """The trial's result and everything it reported."""
    reports: Reports = []

    def reporter(report: Report, checkpoint: Path | None) -> None:
        reports.append(report)

    return run_trial(spec, folder, reporter, CPU, clock or Clock()), reports


def repeatable(report: Report) -> Report:
    """All but what depends on the machine's mood."""
    rows = (replace(row, seconds=0.0, peak_memory_bytes=0) for row in report.rows)
    return replace(report, rows=tuple(rows))


def weights_in(folder: Path) -> dict[str, bytes]:
    files = (folder / "weights").rglob("*.safetensors")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@functools.cache
def in_peace(name: str) -> tuple[Report, Reports, dict[str, bytes], int]:
    """A trial left in peace: result, reports, weights, and how often it looked at the clock."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        result, reports = run(SPECS[name], Path(folder), clock)
        return result, reports, weights_in(Path(folder)), clock.looks


# What is reported


@pytest.mark.parametrize("name", SPECS)
def test_the_small_trials_are_worth_testing_with(name: str) -> None:
    """Both tasks are tried; one spec climbs to the top, the other fails."""
    result, reports, weights, _ = in_peace(name)
    ended = {row.ended_by for row in result.rows}
    assert {row.task for row in result.rows} == {"recall", "recall-2"}
    if name == "increments":
        assert (result.ended_by, ended) == ("top", {"solved"})
        assert result.reaches == {"recall": 8, "recall-2": 8}
    else:
        assert result.ended_by == "failed_rung"
        assert ended == {"solved", "budget"}
        assert result.reaches["recall"] >= 4
    assert len(reports) > len(result.rows) + 5
    assert weights


@pytest.mark.parametrize("name", SPECS)
def test_every_report_says_how_recurrences_were_computed(name: str) -> None:
    result, reports, _, _ = in_peace(name)
    assert result.kernels.startswith(("c: ", "torch: "))
    assert {report.kernels for report in [*reports, result]} == {kernels.describe()}


@pytest.mark.parametrize("name", SPECS)
def test_progress_never_falls_and_is_a_number(name: str) -> None:
    _, reports, _, _ = in_peace(name)
    progress = [report.progress for report in reports]
    assert progress == sorted(progress)
    assert all(math.isfinite(p) for p in progress)
    assert progress[0] < progress[-1]


@pytest.mark.parametrize("name", SPECS)
def test_nothing_is_reported_before_an_attempt_is_over(name: str) -> None:
    """So that no scheduler stops a trial that has measured nothing."""
    _, reports, _, _ = in_peace(name)
    assert all(report.rows for report in reports)
    assert [report.ended_by for report in reports[:-1]] == [None] * (len(reports) - 1)


@pytest.mark.parametrize("name", SPECS)
def test_cost_and_sequences_are_counted_once(name: str) -> None:
    """They rise with every report, the attempt under way included, to the sum over the rows."""
    result, reports, _, _ = in_peace(name)
    for key in ("training_gflop", "sequences"):
        counts = [getattr(report, key) for report in reports]
        assert counts == sorted(counts)
    assert result.sequences == sum(row.sequences for row in result.rows)
    spent = sum(row.training_gflop for row in result.rows)
    assert result.training_gflop == pytest.approx(spent, rel=1e-12)
    assert any(r.sequences > sum(row.sequences for row in r.rows) for r in reports)


@pytest.mark.parametrize("name", SPECS)
def test_the_trace_goes_on_and_covers_every_attempt(name: str) -> None:
    """At its first step and then at every tenth of the budget."""
    result, _, _, _ = in_peace(name)
    sequences = [point.sequences for point in result.trace]
    assert all(a < b for a, b in pairwise(sequences))
    assert all(math.isfinite(point.loss) for point in result.trace)
    assert all(0 <= point.success_rate <= 1 for point in result.trace)
    before, tenth = 0, SPECS[name].ladder.sequences // 10
    for row in result.rows:
        points = [
            point.sequences - before
            for point in result.trace
            if (point.task, point.lag, point.member) == (row.task, row.lag, row.member)
        ]
        assert points[0] == 16
        # a point is due when a tenth is full, and is taken at the next step of 16 sequences
        assert [p // tenth for p in points] == list(range(len(points)))
        assert all(p % tenth < 16 for p in points[1:])
        assert row.sequences - points[-1] <= tenth + 16
        before += row.sequences


def test_reach_is_the_least_and_progress_the_mean(tmp_path: Path) -> None:
    """Of a task climbed to the top and one never passed, 100 symbols in so few sequences."""
    tasks = {"recall": Recall.Config(alphabet=2), "recall-2": Recall.Config(alphabet=100)}
    spec = replace(SPECS["increments"], tasks=tasks)
    result, _ = run(spec, tmp_path)
    assert result.reaches == {"recall": 8, "recall-2": 0}
    assert (result.reach, result.ended_by) == (0, "failed_rung")
    alone, _ = run(replace(spec, tasks={"recall-2": tasks["recall-2"]}), tmp_path / "alone")
    assert result.progress == pytest.approx((math.log2(8) + alone.progress) / 2, rel=1e-12)


@pytest.mark.parametrize("name", SPECS)
def test_the_curve_holds_every_rung_passed_and_some_beyond(name: str) -> None:
    result, _, _, _ = in_peace(name)
    for task, reach in result.reaches.items():
        points = [point for point in result.curve if point.task == task]
        learned = [point.lag for point in points if point.learned]
        assert learned == [lag for lag in (4, 8) if lag <= reach]
        assert all(point.lag > reach for point in points if not point.learned)
        assert all(p.successes >= 0.6 * 128 for p in points if p.lag == reach)


@pytest.mark.parametrize("name", SPECS)
def test_the_horizon_is_taken_at_first_and_at_final_weights(name: str) -> None:
    """At the reach; where nothing was learned, at first weights alone, at the ladder's start."""
    result, _, _, _ = in_peace(name)
    for task, reach in result.reaches.items():
        points = [point for point in result.horizon if point.task == task]
        assert {point.moment for point in points} == ({"start", "end"} if reach else {"start"})
        assert {point.lag for point in points} == {reach or 4}
        backs = [point.back for point in points if point.moment == "start"]
        assert backs == [back for back in (0, 1, 2, 4, 8) if back <= (reach or 4)]
        assert all(math.isfinite(point.norm) for point in points)


def test_what_a_stopped_trial_left_is_measured_afterwards_as_by_itself(tmp_path: Path) -> None:
    """The trial is cut off before it measures; the same points follow from its rows and weights."""
    spec = SPECS["increments"]
    result, _ = run(spec, tmp_path)
    stopped = replace(result, final={"recall-2": FinalPoints()})
    assert measure_final(spec, tmp_path, replace(result, final={}), CPU) == result.final
    assert measure_final(spec, tmp_path, stopped, CPU).keys() == {"recall"}


# How a trial ends


def test_a_single_rung_and_a_single_member(tmp_path: Path) -> None:
    steps = LadderConfig(**{**SMALL, "stop": 4, "members": 1, "quorum": 1})
    spec = replace(SPECS["increments"], ladder=steps, tasks={"recall": Recall.Config(alphabet=2)})
    result, _ = run(spec, tmp_path)
    assert (result.reach, result.ended_by, len(result.rows)) == (4, "top", 1)
    assert result.progress == 2


def test_a_budget_below_a_batch_still_ends_with_a_look(tmp_path: Path) -> None:
    steps = LadderConfig(**{**SMALL, "sequences": 5})
    result, reports = run(replace(SPECS["increments"], ladder=steps), tmp_path)
    assert (result.reach, result.ended_by) == (0, "failed_rung")
    assert [row.sequences for row in result.rows] == [5, 5]
    assert all(row.test_sequences == 64 for row in result.rows)
    assert 0 <= result.progress < 2  # it may be no better than chance
    assert (result.curve, result.trace) == ((), ())
    assert {point.moment for point in result.horizon} == {"start"}
    assert len(reports) == 3


def test_time_that_runs_out_ends_a_climb(tmp_path: Path) -> None:
    steps = LadderConfig(**{**SMALL, "seconds": 30})
    spec = replace(SPECS["increments"], ladder=steps, tasks={"recall": Recall.Config(alphabet=100)})
    result, _ = run(spec, tmp_path, Clock(10))
    assert result.ended_by == "time"
    assert {row.ended_by for row in result.rows} == {"time"}


def fails_with(error: Exception | None) -> Callable[..., tuple[float, int]]:
    def learn(member: Member, batch: Any) -> tuple[float, int]:
        if error is not None:
            raise error
        return math.nan, 0

    return learn


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


def row(member: int, success_rate: float, solved: bool = True, lag: int = 8) -> MemberRung:
    ended: EndedRung = "solved" if solved else "budget"
    return MemberRung(
        "recall", lag, member, ended, success_rate, 0.5, 64, 1, 100, 1.0, 1.0, 10, 4, 1
    )  # fmt: skip


def test_the_best_member_solved_the_rung_with_the_highest_rate() -> None:
    """Of equals the first; one that did not solve it, or another rung, does not count."""
    rows = [
        row(2, 0.95),
        row(1, 0.97),
        row(0, 0.97),
        row(3, 0.99, solved=False),
        row(4, 1.0, lag=4),
    ]
    assert best_member(rows, 8) == 0
    assert best_member(rows, 4) == 4


# The same again


@pytest.mark.parametrize("name", SPECS)
def test_a_trial_repeated_gives_the_same(tmp_path: Path, name: str) -> None:
    """Whatever the global generators are seeded with, and it leaves them as they are."""
    result, reports, weights, _ = in_peace(name)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    random.seed(123)
    states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
    again, reports_again = run(SPECS[name], tmp_path)
    assert repeatable(again) == repeatable(result)
    assert [repeatable(r) for r in reports_again] == [repeatable(r) for r in reports]
    assert weights_in(tmp_path) == weights
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (str(np.random.get_state()), random.getstate()) == states[1:]  # noqa: NPY002


def test_another_seed_is_another_trial(tmp_path: Path) -> None:
    result, _, weights, _ = in_peace("increments")
    other, _ = run(replace(SPECS["increments"], seed=1), tmp_path)
    assert other.trace != result.trace
    others = weights_in(tmp_path)
    assert all(others[name] != weights[name] for name in others.keys() & weights.keys())
    by_member = [file for name, file in weights.items() if name.startswith("weights/recall/8-")]
    assert len(by_member) == len(set(by_member)) == 2


# Cut off

NOT_SHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example is a trial, and an earlier cut is no simpler than a later one."""


def cut_off_and_resumed(name: str, folder: Path, cuts: list[int], seconds_a_look: float) -> Report:
    """The trial's result after its machine was gone at each of the ``cuts`` in turn."""
    for cut in cuts:
        try:
            run(SPECS[name], folder, Clock(seconds_a_look, cut))
        except CutOffError:
            continue
    return run(SPECS[name], folder, Clock(seconds_a_look))[0]


def assert_as_in_peace(name: str, folder: Path, result: Report) -> None:
    expected, _, weights, _ = in_peace(name)
    assert repeatable(result) == repeatable(expected)
    assert weights_in(folder) == weights


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=3, phases=NOT_SHRUNK)
@given(data=st.data())
def test_cut_off_anywhere_it_goes_on_as_if_left_in_peace(name: str, data: st.DataObject) -> None:
    """Rows, curve, trace, reach and weights, to the last bit; a checkpoint every few steps."""
    looks = in_peace(name)[3]
    cut = data.draw(st.integers(2, looks), label="cut off at")
    seconds = data.draw(st.sampled_from([5.0, 0.5, 0.1]), label="seconds a look")
    with tempfile.TemporaryDirectory() as folder:
        result = cut_off_and_resumed(name, Path(folder), [cut], seconds)
        assert_as_in_peace(name, Path(folder), result)


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=3, phases=NOT_SHRUNK)
@given(data=st.data())
def test_cut_off_again_and_again(name: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(2, in_peace(name)[3]), min_size=2, max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        result = cut_off_and_resumed(name, Path(folder), cuts, 1.0)
        assert_as_in_peace(name, Path(folder), result)


def test_a_resumed_trial_does_not_repeat_its_work(tmp_path: Path) -> None:
    """Cut off near the end, with a checkpoint every ten steps, it has little left to do."""
    looks = in_peace("increments")[3]
    with pytest.raises(CutOffError):
        run(SPECS["increments"], tmp_path, Clock(0.5, looks - 10))
    clock = Clock(0.5)
    run(SPECS["increments"], tmp_path, clock)
    assert clock.looks < 60


def test_with_its_newest_checkpoint_torn_a_trial_goes_on_from_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(CutOffError):
        run(SPECS["increments"], tmp_path, Clock(0.5, in_peace("increments")[3] // 2))
    newest = tmp_path / "checkpoint.pt"
    newest.write_bytes(newest.read_bytes()[:-9])
    assert_as_in_peace("increments", tmp_path, run(SPECS["increments"], tmp_path)[0])
    assert str(newest) in caplog.text


@pytest.mark.parametrize("name", SPECS)
def test_a_finished_trial_run_again_reports_its_end_and_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run(SPECS[name], tmp_path)
    monkeypatch.setattr(Member, "learn", fails_with(AssertionError("trained")))
    again, reports = run(SPECS[name], tmp_path)
    assert_as_in_peace(name, tmp_path, again)
    assert reports == [again]


def test_nothing_but_the_checkpoints_and_the_weights_at_reach_is_left(tmp_path: Path) -> None:
    run(SPECS["increments"], tmp_path, Clock(1.0))
    left = {str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file()}
    assert left == {"checkpoint.pt", "checkpoint.previous"} | set(in_peace("increments")[2])


def test_a_checkpoint_holds_no_more_than_it_must(tmp_path: Path) -> None:
    """At the end: rows, curve and trace, and the members that stand at a ladder's top."""
    run(SPECS["increments"], tmp_path / "climbed")
    saved = checkpoint.read(tmp_path / "climbed" / "checkpoint.pt")
    assert saved is not None
    assert (saved["task"], saved["climber"]) == ("", None)
    assert set(saved["at_the_top"]) == {"recall", "recall-2"}
    run(SPECS["scratch"], tmp_path / "failed")
    saved = checkpoint.read(tmp_path / "failed" / "checkpoint.pt")
    assert saved is not None
    assert set(saved["at_the_top"]) == {"recall"}
    assert saved["at_the_top"]["recall"]["members"] == {}


def test_a_checkpoint_is_written_when_ten_seconds_have_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next training step, at every row, and once more at the end."""
    clock, written, write = Clock(1.0), [0], checkpoint.write

    def watched(path: Path, state: dict[str, Any]) -> None:
        written.append(clock.looks)
        write(path, state)

    monkeypatch.setattr(checkpoint, "write", watched)
    result, _ = run(SPECS["increments"], tmp_path, clock)
    waits = [b - a for a, b in pairwise(written)]
    assert len(waits) > 5 + len(result.rows)
    assert all(wait <= 15 for wait in waits)
    assert clock.looks - written[-1] <= 1


@pytest.mark.parametrize("name", SPECS)
def test_what_was_reported_is_on_disk(tmp_path: Path, name: str) -> None:
    """A crash right after a report: no later report falls below it."""
    behind = []

    def reporter(report: Report, folder: Path | None) -> None:
        saved = checkpoint.read(tmp_path / "checkpoint.pt") or {"rows": []}
        behind.append(len(report.rows) - len(saved["rows"]))

    run_trial(SPECS[name], tmp_path, reporter, CPU, Clock())
    assert set(behind) == {0}


def test_a_checkpoint_of_another_configuration_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(SPECS["scratch"], tmp_path)
    result, _ = run(SPECS["increments"], tmp_path)
    assert repeatable(result) == repeatable(in_peace("increments")[0])
    assert "another configuration" in caplog.text


@pytest.mark.parametrize("regime", [REHEARSING, "scratch"])
def test_a_longer_ladder_is_climbed_from_its_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regime: Any
) -> None:
    """Exactly as if it had been that long from the start; rungs below are not trained again."""
    config = trial_config("lstm", regime)
    short = TrialSpec(config, {"recall": Recall.Config(alphabet=2)}, LadderConfig(**SMALL), seed=0)
    long = replace(short, ladder=LadderConfig(**{**SMALL, "stop": 16}))
    expected, _ = run(long, tmp_path / "long")
    assert run(short, tmp_path / "grown")[0].ended_by == "top"
    lags = []
    learn = Member.learn

    def watched(self: Member, batch: Batch) -> tuple[float, int]:
        lags.append(batch.inputs.shape[1])
        return learn(self, batch)

    monkeypatch.setattr(Member, "learn", watched)
    grown, _ = run(long, tmp_path / "grown")
    fresh = sum(row.sequences for row in grown.rows if row.lag == 16)
    assert len(lags) * config.training.batch_size == fresh
    assert repeatable(grown) == repeatable(expected)
    assert weights_in(tmp_path / "grown") == weights_in(tmp_path / "long")


def test_damaged_weights_are_named_and_cost_the_curve_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The members stand; only what is measured of the final weights is missing."""
    whole = SPECS["increments"]
    spec = replace(whole, tasks={"recall": whole.tasks["recall"]})

    def damage(report: Report, folder: Path | None) -> None:
        for file in tmp_path.rglob("8-*.safetensors"):
            file.write_bytes(file.read_bytes()[:-5] + b"12345")

    result = run_trial(spec, tmp_path, damage, CPU, Clock())
    assert (result.ended_by, result.curve) == ("top", ())
    assert "8-" in caplog.text
    assert "damaged" in caplog.text
