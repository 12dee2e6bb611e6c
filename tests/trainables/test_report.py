"""A report crosses borders as JSON, and is the same value on the other side."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from trainables.measure.ladder_config import LadderConfig
from trainables.measure.plain import NotReadableError
from trainables.measure.records import (
    CurvePoint,
    FinalPoints,
    HorizonPoint,
    Limits,
    MemberRung,
    TracePoint,
    of_task,
)
from trainables.measure.report import Report, progress_by_row

CURVE = CurvePoint("recall", 8, 127, 128, True)
REPORT = Report(
    progress=3.5,
    reach=8,
    reaches={"recall": 8, "recall-2": 8},
    tasks_ended_by={"recall": "failed_rung", "recall-2": None},
    training_gflop=2.5,
    sequences=1000,
    lag=16,
    ended_by="error",
    error="RuntimeError: the sky fell",
    rows=(MemberRung("recall", 8, 0, "solved", 0.99, 0.9), MemberRung("recall", 8, 1, "nan")),
    final={
        "recall": FinalPoints((CURVE,), (HorizonPoint("recall", "end", 8, 0, 0.5),)),
        "recall-2": FinalPoints(),
    },
    trace=(TracePoint("recall", 8, 0, 16, 0.7, 0.5),),
    busy_seconds=1.5,
    worker="here:1",
    limits={"recall": Limits(24, math.inf, 2.0**23, None, 0)},
)


def written(report: Report = REPORT) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(report.to_json()))
    return found


def test_it_comes_back_as_it_was() -> None:
    assert Report.from_json(written()) == REPORT
    assert Report.from_json(written(Report())) == Report() == Report.from_json({})


def test_rows_are_of_their_task() -> None:
    rows = [replace(REPORT.rows[0], task=task, member=n) for n, task in enumerate("abab")]
    assert [row.member for row in of_task(rows, "b")] == [1, 3]


def test_of_several_tasks_progress_is_the_mean() -> None:
    """One that has not begun counts as nothing; cost is of them all."""
    ladder = LadderConfig.model_validate({"start": 8, "stop": 16, "members": 1, "quorum": 1})
    rows = [
        MemberRung("recall", 8, 0, "solved", 0.99, 0.95, training_gflop=2.0),
        MemberRung("recall-2", 8, 0, "solved", 0.99, 0.95, training_gflop=3.0),
    ]
    assert progress_by_row(rows, REPORT.reaches, ladder) == [1.5, 3.0]


def test_its_json_has_the_keys_that_earlier_versions_read() -> None:
    found = written()
    assert found["curve"] == [
        {"task": "recall", "lag": 8, "successes": 127, "sequences": 128, "learned": True}
    ]
    assert [point["back"] for point in found["horizon"]] == [0]
    assert [row["solved"] for row in found["rows"]] == [True, False]


def test_a_task_is_looked_at_where_that_is_written_and_not_where_something_came_of_it() -> None:
    assert Report.from_json(written()).looked_at
    one = replace(REPORT, final={"recall": REPORT.final["recall"]})
    assert not Report.from_json(written(one)).looked_at
    assert not Report().looked_at


def test_of_an_earlier_version_the_points_tell_which_tasks_were_looked_at() -> None:
    found = written()
    del found["final_measured"]
    found["curve"].append(found["curve"][0])
    read = Report.from_json(found)
    assert read.final == {"recall": REPORT.final["recall"]}
    assert not read.looked_at


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mood": 1}, "Report: 'mood' is not known to this version of Longspan"),
        ({"rows": [{**REPORT.rows[0].to_json(), "mood": 1}]}, "MemberRung: 'mood' is not known"),
        ({"rows": [{"task": "recall", "lag": 8, "member": 0}]}, "'ended_by' is missing"),
        ({"trace": [{"mood": 1}]}, "TracePoint: 'mood' is not known"),
        ({"curve": [{"mood": 1}]}, "CurvePoint: 'mood' is not known"),
    ],
)
def test_what_a_later_version_wrote_is_named_in_one_line(change: dict[str, Any], says: str) -> None:
    with pytest.raises(NotReadableError, match=says) as error:
        Report.from_json({**written(), **change})
    assert "\n" not in str(error.value)
