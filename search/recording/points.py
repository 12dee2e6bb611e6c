"""What MLflow holds of a trial, as it follows from the trial's record alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from search.disk.record import Record
from search.spec import Spec
from trainables.description import describe
from trainables.measure.ladder import solved_fraction
from trainables.measure.records import of_task
from trainables.measure.report import cost_and_progress
from trainables.training.curve import extrapolated_lag


@dataclass(frozen=True)
class Point:
    """One value of a metric; ``step`` is training sequences, or the lag of a metric by lag."""

    key: str
    value: float
    step: int


def points(record: Record, spec: Spec) -> Iterator[Point]:
    """Every metric of a trial; those that may still change only once they cannot."""
    yield from _by_sequence(record, spec)
    if record.finished and record.reported:
        yield from _solved_by_lag(record, spec)
        yield Point("reach", float(record.reach), 0)
        if record.skill is not None:
            yield Point("skill", record.skill, 0)
        yield Point("training_gflop", float(record.report.training_gflop), 0)
        yield Point("busy_seconds", float(record.report.busy_seconds), 0)
        if len(record.tasks) > 1:
            for task in record.tasks:
                yield Point(metric_key("reach", task.task, spec), float(task.reach), 0)
        if record.rows:
            peak = max(row.peak_memory_bytes for row in record.rows)
            yield Point("parameters", float(record.rows[0].parameters), 0)
            yield Point("peak_memory_bytes", float(peak), 0)


def _by_sequence(record: Record, spec: Spec) -> Iterator[Point]:
    for moment in record.report.trace:
        if math.isfinite(moment.loss):
            yield Point("loss", moment.loss, moment.sequences)
        yield Point("success_rate", moment.success_rate, moment.sequences)
    spent = 0
    known = cost_and_progress(record.rows, record.report.reaches, spec.ladder)
    for row, (_, progress) in zip(record.rows, known, strict=True):
        spent += row.sequences
        yield Point("progress", progress, spent)


def _solved_by_lag(record: Record, spec: Spec) -> Iterator[Point]:
    """``solved_fraction``: of the members, by lag."""
    for task in record.report.reaches:
        by_lag = solved_fraction(of_task(record.rows, task), spec.ladder.rule)
        for lag, fraction in by_lag.items():
            yield Point(metric_key("solved_fraction", task, spec), fraction, lag)


def final_points(record: Record, spec: Spec) -> Iterator[Point]:
    """``success_by_lag``, the forgetting curve, and ``gradient_norm_*`` by steps back.

    ``extrapolated_lag`` where the curve goes beyond the reach.

    Where no rung was passed there is no curve; what the members showed stands in for it.
    """
    curve = {(p.task, p.lag): p.successes / p.sequences for p in record.report.curve}
    shown: dict[tuple[str, int], list[float]] = defaultdict(list)
    for row in record.rows:
        shown[row.task, row.lag].append(row.success_rate)
    for (task, lag), rate in (curve or {at: fmean(rates) for at, rates in shown.items()}).items():
        yield Point(metric_key("success_by_lag", task, spec), rate, lag)
    for task, found in record.report.final.items():
        untrained = extrapolated_lag(found.curve, spec.ladder.success)
        if untrained is not None:
            yield Point(metric_key("extrapolated_lag", task, spec), float(untrained), 0)
    for point in record.report.horizon:
        if math.isfinite(point.norm):
            key = metric_key(f"gradient_norm_{point.moment}", point.task, spec)
            yield Point(key, point.norm, point.back)


def metric_key(metric: str, task: str, spec: Spec) -> str:
    """Metrics by lag carry the task's name where there are several."""
    return metric if len(spec.tasks) == 1 else f"{metric}/{task}"


def tags(record: Record, spec: Spec) -> dict[str, str]:
    """How the trial ended and what it was."""
    found = {"space": spec.space, "task": ", ".join(spec.tasks_by_name)}
    if record.report.kernels:
        found["kernels"] = record.report.kernels
    if record.ended_by:
        found["ended_by"] = record.ended_by
    if record.finished and (limit := record.limited_by(spec.ladder)):
        found["limited_by"] = limit
    if record.origin:
        found["origin"] = record.origin
    if record.error:
        found["error"] = record.error
    return found


def status(record: Record) -> str:
    """MLflow's word for how a run ended: one that was stopped early is no failure."""
    return "FAILED" if record.ended_by == "error" else "FINISHED"


def title(record: Record) -> str:
    """A name that reads by itself, of a trial that has ended: its reach and what it was."""
    return f"{record.reach_text} · {describe(record.configuration)}"
