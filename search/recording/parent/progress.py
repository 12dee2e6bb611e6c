"""How far a search is, by how many of its trials have ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mlflow.entities import Metric

from search.disk.record import Record

KEYS = ("best_reach", "trials_ended", "training_gflop")


def progress(records: Iterable[Record]) -> Iterator[Metric]:
    """The best reach, the trials and the GFLOP spent in them; the step is the trials that ended.

    A trial's own end is the time of its step, and the first trial's start that of step 0, so the
    same trials give the same points.
    """
    known = list(records)
    for key in KEYS if known else ():
        yield Metric(key, 0.0, min(record.started_ms for record in known), 0)
    ended = sorted((r for r in known if r.finished), key=lambda r: (r.ended_ms or 0, r.number))
    best, gflop = 0, 0.0
    for step, record in enumerate(ended, 1):
        best, gflop = max(best, record.reach), gflop + record.report.training_gflop
        for key, value in zip(KEYS, (best, step, gflop), strict=True):
            yield Metric(key, float(value), record.ended_ms or 0, step)


def unsent(found: Iterable[Metric], newest: Mapping[str, tuple[int, float]]) -> list[Metric]:
    """Those that lie beyond the ``newest`` step and value that are known of each.

    What a step once said stays: trials that went on, up a longer ladder, end again later.
    """
    return [
        metric
        for metric in found
        if metric.key not in newest
        or metric.step > newest[metric.key][0]
        or (metric.step == newest[metric.key][0] and metric.value != newest[metric.key][1])
    ]
