"""A trial whose machine is gone goes on as if it had been left in peace."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.trainables.small_trials import (
    REHEARSING,
    SMALL,
    SPECS,
    Clock,
    CutOffError,
    fails_with,
    in_peace,
    repeatable,
    run,
    weights_in,
)
from tests.trainables.training.stand_ins import CPU, trial_config
from trainables.files import checkpoint
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.report import Report
from trainables.tasks.recall import Recall
from trainables.tasks.task import Batch
from trainables.training.member import Member
from trainables.trial import TrialSpec, run_trial

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
    in_peace(name)  # while something can still be trained
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
