"""Small trials: two that are worth testing with, and what they are when left in peace."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.trainables.training.stand_ins import CPU, trial_config
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.report import Report
from trainables.tasks.recall import Recall
from trainables.training.member import Member
from trainables.trial import TrialSpec, run_trial

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
    # goes ahead, with success, and then climbs to the top; some rungs are solved untrained
    "ahead": TrialSpec(
        trial_config("lstm", REHEARSING),
        {"recall": Recall.Config(alphabet=2), "recall-2": Recall.Config(alphabet=3)},
        LadderConfig(**{**SMALL, "start": 2, "sequences": 8000, "looks": "sequential", "ahead": 4}),
        seed=0,
    ),
    # climbs to the top, by looks that end at different stages
    "sequential": TrialSpec(
        trial_config("gru", REHEARSING),
        {"recall": Recall.Config(alphabet=3), "recall-2": Recall.Config(alphabet=2)},
        LadderConfig(**{**SMALL, "test_sequences": 256, "looks": "sequential"}),
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
    return replace(report, rows=tuple(rows), seconds=0.0)


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


def fails_with(error: Exception | None) -> Callable[..., tuple[float, int]]:
    def learn(member: Member, batch: Any) -> tuple[float, int]:
        if error is not None:
            raise error
        return math.nan, 0

    return learn
