"""What MLflow holds of a trial, as it follows from the trial's record alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from search.disk.record import Record
from search.spec import Spec
from trainables.description import describe, stack
from trainables.measure.ladder import solved_fraction
from trainables.measure.records import of_task
from trainables.measure.report import progress_by_row
from trainables.training.held_out.curve import extrapolated_lag

BY_LAG, BY_SEQUENCE, BY_STEPS_BACK = "by_lag", "by_sequence", "by_steps_back"
"""Before the name of a metric, what its steps are: MLflow draws each group together.

Of one by lag, MLflow's latest value is that at the longest lag, which the name thus says.
"""


@dataclass(frozen=True)
class Point:
    """One value of a metric; ``step`` is training sequences, or what the name says."""

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
        if record.no_gap is not None:
            yield Point("no_gap", record.no_gap, 0)
        if record.wrong_answers is not None:
            yield Point("wrong_answers", record.wrong_answers, 0)
        for name, limits in record.report.limits.items():
            for limit, steps in limits.finite.items():
                yield Point(metric_key(f"limit_{limit}", name, spec), steps, 0)
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
    """``loss`` and ``success`` of each member at its ``lag``, and the trial's ``progress``.

    While a member learns a rung its success is that in training; at the end of the rung, that of
    its last look. So the latest value is what it showed at the ``lag`` beside it.
    """

    def of(metric: str, member: int, task: str) -> str:
        return metric_key(f"{BY_SEQUENCE}/{metric}_member_{member}", task, spec)

    for moment in record.report.trace:
        at = moment.member, moment.task
        yield Point(of("lag", *at), float(moment.lag), moment.sequences)
        if math.isfinite(moment.loss):
            yield Point(of("loss", *at), moment.loss, moment.sequences)
        yield Point(of("success", *at), moment.success_rate, moment.sequences)
    spent = 0
    known = progress_by_row(record.rows, record.report.reaches, spec.ladder)
    for row, progress in zip(record.rows, known, strict=True):
        spent += row.sequences
        yield Point("progress", progress, spent)
        if row.sequences and row.looks:
            yield Point(of("lag", row.member, row.task), float(row.lag), spent)
            yield Point(of("success", row.member, row.task), row.success_rate, spent)


def _solved_by_lag(record: Record, spec: Spec) -> Iterator[Point]:
    """``solved_fraction`` of the members, and what each showed at its last look on every rung.

    Of several answers a sequence also the share of them that is wrong, each by itself. Beside them
    the success ``asked`` for, and ``chance``: that of the best constant answer.
    """
    for task in record.report.reaches:
        rows = of_task(record.rows, task)
        for lag, fraction in solved_fraction(rows, spec.ladder.rule).items():
            yield Point(by_lag("solved_fraction", task, spec), fraction, lag)
    levels: dict[Point, None] = {}
    for row in record.rows:
        if row.looks:
            key = by_lag(f"member_{row.member}", row.task, spec)
            yield Point(key, row.success_rate, row.lag)
        if row.of_several:
            key = by_lag(f"wrong_answers_member_{row.member}", row.task, spec)
            yield Point(key, 1 - row.answer_rate, row.lag)
        if row.asked:
            levels[Point(by_lag("asked", row.task, spec), row.asked, row.lag)] = None
        if row.answers:
            chance = row.chance**row.answers
            levels[Point(by_lag("chance", row.task, spec), chance, row.lag)] = None
    yield from levels


def final_points(record: Record, spec: Spec) -> Iterator[Point]:
    """``success``, the forgetting curve, by lag, and ``gradient_norm_*`` by steps back.

    ``extrapolated_lag`` where the curve goes beyond the reach.

    Where no rung was passed there is no curve; what the members showed stands in for it.
    """
    curve = {(p.task, p.lag): p.successes / p.sequences for p in record.report.curve}
    shown: dict[tuple[str, int], list[float]] = defaultdict(list)
    for row in record.rows:
        shown[row.task, row.lag].append(row.success_rate)
    for (task, lag), rate in (curve or {at: fmean(rates) for at, rates in shown.items()}).items():
        yield Point(by_lag("success", task, spec), rate, lag)
    for task, found in record.report.final.items():
        untrained = extrapolated_lag(found.curve, spec.ladder.success)
        if untrained is not None:
            yield Point(metric_key("extrapolated_lag", task, spec), float(untrained), 0)
    for point in record.report.horizon:
        if math.isfinite(point.norm):
            name = f"{BY_STEPS_BACK}/gradient_norm_{point.moment}"
            yield Point(metric_key(name, point.task, spec), point.norm, point.back)


def by_lag(metric: str, task: str, spec: Spec) -> str:
    """The name of a metric whose steps are lags."""
    return metric_key(f"{BY_LAG}/{metric}", task, spec)


def metric_key(metric: str, task: str, spec: Spec) -> str:
    """A metric of one task carries its name where there are several."""
    return metric if len(spec.tasks) == 1 else f"{metric}/{task}"


def tags(record: Record, spec: Spec) -> dict[str, str]:
    """What the trial is, in short, and how it ended."""
    model = record.configuration["model"]
    found = {
        "trial": str(record.number),
        "space": spec.space,
        "task": ", ".join(spec.tasks_by_name),
        "architecture": describe(record.configuration),
        "cell": model["cell"]["kind"],
        "front_end": model["front_end"]["kind"],
        "readout": model["readout"]["kind"],
        "ended_by": record.end_text,
    }
    if record.regime:
        found["regime"] = record.regime
    if record.report.kernels:
        found["kernels"] = record.report.kernels
    if record.report.environment:
        found["environment"] = record.report.environment
    if record.finished:
        limit = record.limited_by(spec.ladder)
        told = {"limited_by": limit, "why": record.why(limit)}
        found |= {key: word for key, word in told.items() if word}
    if record.origin:
        found["origin"] = record.origin
    if record.error:
        found["error"] = record.error
    return found


def status(record: Record) -> str:
    """MLflow's word for how a run ended: one that was stopped early is no failure."""
    return "FAILED" if record.ended_by == "error" else "FINISHED"


def title(record: Record, spec: Spec) -> str:
    """A name that reads by itself: the reach, or why there is none, and the layers."""
    if not record.finished or record.ended_by == "error":
        first = record.end_text
    elif record.reach:
        first = record.reach_text.replace(" ", "")
    elif record.censored:
        first = record.end_text
    else:
        first = f"below {spec.ladder.start}"
    return f"{first} · {stack(record.configuration)}"
