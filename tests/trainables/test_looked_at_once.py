"""Final weights are measured once, whatever comes of it and wherever the trial is cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trainables.small_trials import SPECS, Clock, CutOffError, run
from tests.trainables.training.stand_ins import CPU
from trainables.files import checkpoint
from trainables.measure.report import Report
from trainables.training import closing_measurement
from trainables.trial import run_trial

SPEC = SPECS["increments"]
FILE = "checkpoint.pt"


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each task's curve is measured; its horizon runs out of memory."""
    measured: Counter[str] = Counter()
    whole = closing_measurement.forgetting_curve

    def curve(model: Any, name: str, *rest: Any) -> Iterator[Any]:
        measured[name] += 1
        return whole(model, name, *rest)

    def horizon(*_: Any) -> Iterator[Any]:
        raise MemoryError

    monkeypatch.setattr(closing_measurement, "forgetting_curve", curve)
    monkeypatch.setattr(closing_measurement, "gradient_horizon", horizon)
    return measured


def until(folder: Path, gone: Callable[[Report], bool]) -> None:
    """Run the trial until a report at which its machine is gone."""

    def reporter(report: Report, _: Path | None) -> None:
        if gone(report):
            raise CutOffError

    with pytest.raises(CutOffError):
        run_trial(SPEC, folder, reporter, CPU, Clock())


def assert_measured_once(curves: Counter[str], report: Report) -> None:
    assert (curves, report.horizon) == ({"recall": 1, "recall-2": 1}, ())
    assert report.looked_at
    points = [(point.task, point.lag) for point in report.curve]
    assert points
    assert len(points) == len(set(points))
    assert [lag for task, lag in points if task == "recall"][:2] == [4, 8]


def test_a_horizon_out_of_memory_is_not_tried_again(tmp_path: Path, curves: Counter[str]) -> None:
    """The machine is gone before the end is heard of; and a trial that had ended is run again."""
    until(tmp_path, lambda report: report.ended_by is not None)
    for _ in range(2):
        result, _ = run(SPEC, tmp_path)
        assert_measured_once(curves, result)


def test_what_was_measured_is_saved_at_once(tmp_path: Path, curves: Counter[str]) -> None:
    """The machine is gone at the next task's first training step."""
    until(tmp_path, lambda report: report.trace[-1].task == "recall-2")
    assert_measured_once(curves, run(SPEC, tmp_path)[0])


def test_a_checkpoint_of_the_version_before_tells_by_its_points(
    tmp_path: Path, curves: Counter[str]
) -> None:
    """It did not write which tasks were measured, and may hold a point of the curve twice."""
    run(SPEC, tmp_path)
    saved = checkpoint.read(tmp_path / FILE)
    assert saved is not None
    assert saved.pop("final_measured") == ["recall", "recall-2"]
    saved["curve"] += saved["curve"]
    checkpoint.write(tmp_path / FILE, saved)
    assert_measured_once(curves, run(SPEC, tmp_path)[0])
