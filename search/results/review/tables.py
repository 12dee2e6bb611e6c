"""A search's trials, members and curves as data frames; its trials as plain rows too.

pandas takes half a second to import, so whoever asks for plain rows does without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search.disk.certificates import claimed
from search.disk.ranking import fronts, rank
from search.disk.record import Record
from search.spec import Outline
from trainables.description import describe, stack
from trainables.measure.ladder_config import LadderConfig

if TYPE_CHECKING:
    import pandas as pd

MEASURED = (
    "trial",
    "reach",
    "censored",
    "certified",
    "progress",
    "skill",
    "no_gap",
    "wrong_answers",
    "limited_by",
    "why",
    "ended_by",
    "error",
    "origin",
    "architecture",
    "members",
    "parameters",
    "state_bytes",
    "sequences",
    "training_gflop",
    "busy_seconds",
    "kernels",
)
"""The columns of every search's `trials`; a space's parameters follow them, by their paths."""

OF_SEVERAL_AIMS = ("front", "flops_per_step", "latency", "gflop_to_reach")
"""Columns where there are several objectives; ``latency`` where it is one."""


def of_search(
    records: Iterable[Record], spec: Outline, certified: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The `trials` of a search, with all that its spec lets be said of them."""
    return trials(records, certified, spec.ladder, spec.search.objectives)


def rows_of_search(
    records: Iterable[Record], spec: Outline, certified: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The same as plain rows, each with every column; None where a trial has nothing there."""
    rows = _rows(records, certified, spec.ladder, spec.search.objectives)
    columns = _columns(rows)
    return [{name: row.get(name) for name in columns} for row in rows]


def trials(
    records: Iterable[Record],
    certified: Mapping[str, str] | None = None,
    ladder: LadderConfig | None = None,
    objectives: Sequence[str] = (),
) -> pd.DataFrame:
    """One row a trial, best first; those that have reported nothing stand last.

    ``reach`` is in steps, the least over the tasks, ``reach/TASK`` that on each of several;
    ``censored`` says that it is a lower bound; ``skill`` is the success rate at the shortest lag,
    ``no_gap`` that of the same weights without a gap, where the task has one, ``wrong_answers`` the
    share of single answers wrong at the reach, where a sequence has several,
    ``limited_by``, where the ``ladder`` is given, what the trial is limited by, ``why`` the
    smallest limit that explains where it ended, and ``certified`` what certificates show, by
    digest. Parameters that a trial did not have are missing; whole numbers stay whole beside them.
    Where there are several ``objectives``, ``front`` is the Pareto front that a trial is on, from
    1, and ``gflop_to_reach`` stands beside it.
    """
    import pandas as pd

    rows = _rows(records, certified, ladder, objectives)
    columns = _columns(rows)
    return pd.DataFrame(rows, columns=columns).astype(
        dict.fromkeys(_gappy_counts(rows, columns), "Int64")
    )


def _rows(
    records: Iterable[Record],
    certified: Mapping[str, str] | None,
    ladder: LadderConfig | None,
    objectives: Sequence[str],
) -> list[dict[str, Any]]:
    """The trials, each with what it has."""
    ranked = rank(records := list(records), claimed(certified or {}))
    silent = [record for record in records if not record.reported]
    rows = [_trial(record, certified or {}, ladder) for record in [*ranked, *silent]]
    if len(objectives) > 1:
        on = fronts(ranked, objectives)
        for row, record in zip(rows, ranked, strict=False):
            row |= {"front": on.get(record.number), "flops_per_step": _told(record.flops_per_step)}
            if "latency" in objectives:
                row["latency"] = _told(record.latency)
            row["gflop_to_reach"] = record.gflop_to_reach
    return rows


def _columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is measured of every trial, then what only some have."""
    return list(dict.fromkeys([*MEASURED, *(name for row in rows for name in row)]))


def _told(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _gappy_counts(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> Iterator[str]:
    """Columns of whole numbers that some rows lack: as floats 3 would read 3.0."""
    for name in names:
        kinds = {type(row.get(name)) for row in rows}
        if kinds == {int, type(None)}:
            yield name


def _trial(
    record: Record, certified: Mapping[str, str], ladder: LadderConfig | None
) -> dict[str, Any]:
    rows, report = record.rows, record.report
    several = record.tasks if len(record.tasks) > 1 else []
    limit = None if ladder is None else record.limited_by(ladder)
    return {
        "trial": record.number,
        "reach": record.reach,
        "censored": record.censored,
        "certified": certified.get(record.digest),
        "progress": record.progress,
        "skill": record.skill,
        "no_gap": record.no_gap,
        "wrong_answers": record.wrong_answers,
        "limited_by": limit,
        "why": None if ladder is None else record.why(limit),
        "ended_by": record.ended_by or "running",
        "error": record.error,
        "origin": record.origin or None,
        "architecture": describe(record.configuration),
        "members": len({row.member for row in rows}),
        "parameters": rows[0].parameters if rows else None,
        "state_bytes": max((row.state_bytes for row in rows), default=None),
        "sequences": sum(row.sequences for row in rows),
        "training_gflop": float(report.training_gflop),
        "busy_seconds": float(report.busy_seconds),
        "kernels": report.kernels or None,
        **{f"reach/{on.task}": on.reach for on in several},
        **record.parameters,
    }


def parameters(table: pd.DataFrame) -> list[str]:
    """Of a table of trials, the columns that the space chose."""
    measured = {*MEASURED, *OF_SEVERAL_AIMS}
    return [name for name in table if name not in measured and not name.startswith("reach/")]


def forgetting_curves(records: Sequence[Record]) -> pd.DataFrame:
    """One row a trial, task and lag: of so many ``sequences`` so many ``successes``."""
    import pandas as pd

    columns = ["trial", "task", "lag", "successes", "sequences", "learned"]
    rows = [{"trial": r.number, **vars(point)} for r in rank(records) for point in r.report.curve]
    return pd.DataFrame(rows, columns=columns)


def chance(records: Iterable[Record]) -> dict[int, float]:
    """By lag, how often the best constant answer is right; on several tasks the highest."""
    found: dict[int, float] = {}
    for row in (row for record in records for row in record.rows if row.answers):
        found[row.lag] = max(found.get(row.lag, 0.0), row.chance**row.answers)
    return dict(sorted(found.items()))


def name(record: Record) -> str:
    """What reads by itself in a legend: ``12 · lstm 32 · conv 17``."""
    return f"{record.number} · {stack(record.configuration)}"


def members(record: Record) -> pd.DataFrame:
    """One row a task, lag and member: how the attempt ended and what it showed."""
    import pandas as pd

    columns = ["task", "lag", "member", "ended_by", "success_rate", "lower_bound", "sequences"]
    columns += ["test_sequences", "asked", "answer_rate", "chance", "seen"]
    rows = sorted(record.rows, key=lambda row: (row.task, row.lag, row.member))
    return pd.DataFrame([vars(row) for row in rows], columns=columns)
