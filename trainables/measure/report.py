"""What a trial reports: one value from the trial to the ledger, and to all who read it there.

It is JSON only where it crosses a border between processes or lies in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from trainables.measure.ladder import EndedClimb, progress
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.plain import read
from trainables.measure.records import (
    CurvePoint,
    FinalPoints,
    HorizonPoint,
    Limits,
    MemberRung,
    TracePoint,
)


@dataclass(frozen=True)
class Report:
    """What is known of a trial; one that is empty has reported nothing yet.

    All but the times, the worker, kernels and environment is the same whenever the trial is
    repeated.

    Attributes:
        progress: log2(reach) and the part of the failing rung, the mean over the tasks
        reach: the largest passed rung, the least over the tasks
        reaches: by task
        tasks_ended_by: how each task's climb ended, None where that is open
        training_gflop: training cost so far, in 10^9 floating-point operations
        sequences: training sequences so far
        seconds: wall time on rungs so far, looks included, in all runs of the trial; 0 where an
            earlier version reported
        lag: of the attempt under way, 0 where there is none
        ended_by: as of a climb, or ``error``; None while the trial runs
        error: one line, where it ended by an error
        rows: what its members measured, in that order
        final: by task, what was measured of the final weights; a task that is not there was never
            looked at
        trace: moments of training
        busy_seconds: wall time of the trial's last run, waiting for the scheduler not counted
        worker: host and process that reported
        kernels: how recurrences were computed (`trainables.models.kernels.describe`); empty where
            an earlier version reported
        environment: threads and allocator (`trainables.models.kernels.environment.describe`);
            empty likewise
        censored_progress: what progress may still be: no less than that of whatever failed the
            rung that is open
        expected_progress: what progress will be if the members still to come do as those on the
            rung: by it a scheduler compares trials on their way
        limits: by task, how far the architecture can reach, known before it is trained; empty where
            an earlier version reported
    """

    progress: float = 0.0
    reach: int = 0
    reaches: Mapping[str, int] = field(default_factory=dict)
    tasks_ended_by: Mapping[str, EndedClimb | None] = field(default_factory=dict)
    training_gflop: float = 0.0
    sequences: int = 0
    seconds: float = 0.0
    lag: int = 0
    ended_by: str | None = None
    error: str | None = None
    rows: tuple[MemberRung, ...] = ()
    final: Mapping[str, FinalPoints] = field(default_factory=dict)
    trace: tuple[TracePoint, ...] = ()
    busy_seconds: float = 0.0
    worker: str = ""
    kernels: str = ""
    environment: str = ""
    censored_progress: float = 0.0
    expected_progress: float = 0.0
    limits: Mapping[str, Limits] = field(default_factory=dict)

    @property
    def curve(self) -> tuple[CurvePoint, ...]:
        """The forgetting curves of all tasks."""
        return tuple(point for found in self.final.values() for point in found.curve)

    @property
    def horizon(self) -> tuple[HorizonPoint, ...]:
        """The gradient horizons of all tasks."""
        return tuple(point for found in self.final.values() for point in found.horizon)

    @property
    def failed_by(self) -> EndedClimb | None:
        """How it has failed by what its members showed, whoever stops it then.

        None while a task's rung is open, and at the top.
        """
        ends = list(self.tasks_ended_by.values())
        return None if None in ends else next((end for end in ends if end != "top"), None)

    @property
    def looked_at(self) -> bool:
        """Whether the final weights of every task were measured, whatever came of it."""
        return bool(self.reaches) and self.reaches.keys() <= self.final.keys()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            **{key: value for key, value in vars(self).items() if key != "final"},
            "reaches": dict(self.reaches),
            "tasks_ended_by": dict(self.tasks_ended_by),
            "rows": [row.to_json() for row in self.rows],
            "trace": [dict(vars(point)) for point in self.trace],
            "limits": {task: found.to_json() for task, found in self.limits.items()},
            **final_to_json(self.final),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """From plain values; what an earlier version did not write takes its default.

        Raises:
            NotReadableError: in one line, if a later version wrote them.
        """
        rest = {key: value for key, value in found.items() if key not in FINAL_KEYS}
        rest["rows"] = tuple(MemberRung.from_json(row) for row in found.get("rows", ()))
        rest["trace"] = tuple(read(TracePoint, point) for point in found.get("trace", ()))
        known = found.get("limits", {})
        rest["limits"] = {task: Limits.from_json(steps) for task, steps in known.items()}
        return read(cls, {**rest, "final": final_from_json(found)})


FINAL_KEYS = ("curve", "horizon", "final_measured")


def final_to_json(final: Mapping[str, FinalPoints]) -> dict[str, Any]:
    """What was measured of final weights, as plain values."""
    return {
        "curve": [dict(vars(point)) for found in final.values() for point in found.curve],
        "horizon": [dict(vars(point)) for found in final.values() for point in found.horizon],
        "final_measured": list(final),
    }


def final_from_json(found: Mapping[str, Any]) -> dict[str, FinalPoints]:
    """From plain values.

    An earlier version did not write which tasks were measured: those of which there is a point.

    Raises:
        NotReadableError: in one line, if a later version wrote them.
    """
    curve = [read(CurvePoint, point) for point in found.get("curve", ())]
    horizon = [read(HorizonPoint, point) for point in found.get("horizon", ())]
    seen = dict.fromkeys([point.task for point in horizon] + [point.task for point in curve])
    return {
        task: FinalPoints(
            tuple({point.lag: point for point in curve if point.task == task}.values()),
            tuple(point for point in horizon if point.task == task),
        )
        for task in found.get("final_measured", seen)
    }


def progress_by_row(
    rows: Iterable[MemberRung],
    tasks: Iterable[str],
    ladder: LadderConfig,
    score: Callable[..., float] = progress,
) -> list[float]:
    """Progress after each row of a trial, as it was reported then.

    Or another ``score`` of the same arguments, such as `expected_progress`.
    """
    outcomes: dict[str, list[MemberRung]] = {task: [] for task in tasks}
    scores = []
    for row in rows:
        outcomes[row.task].append(row)
        scores.append(over_tasks(score, outcomes, ladder))
    return scores


def over_tasks(
    score: Callable[..., float], outcomes: Mapping[str, Sequence[MemberRung]], ladder: LadderConfig
) -> float:
    """The mean over the tasks of `progress`, or of another ``score`` of its arguments."""
    scores = [score(o, ladder.rungs, ladder.rule, ladder.success) for o in outcomes.values()]
    return sum(scores) / len(scores)
