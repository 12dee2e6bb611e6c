"""Why a trial ended where it did is said in the same words everywhere."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from search.disk.record import Record
from search.recording.points import points, tags
from search.results.leaderboard import leaderboard, leaderboard_markdown
from search.results.review import story, tables
from tests.search.review.trials import spec, trial
from trainables.measure.records import Limits
from trainables.measure.report import Report

SPEC = spec(stop=128)
KNOWN = Limits(gradient=24, capacity=float("inf"), precision=2.0**23, window=None, cost=900)


def ended(reach: int, rate: float, limits: Limits = KNOWN) -> Record:
    """A trial of skill 0.99 whose failing rung showed ``rate``, of 100 sequences."""
    made = trial(0, reach)
    rows = tuple(
        replace(row, success_rate=0.99 if row.solved else rate, test_sequences=1000)
        for row in made.rows
    )
    report = replace(made.report, rows=rows, final={}, limits={"recall": limits})
    return replace(made, report=report)


@pytest.mark.parametrize(
    ("record", "limited_by", "why"),
    [
        (ended(16, 0.1), "forgetting", "gradient"),
        (ended(32, 0.1), "forgetting", None),  # it got past the first gradient's reach
        (ended(32, 0.1, replace(KNOWN, cost=40)), "forgetting", "cost"),
        (ended(16, 0.1, replace(KNOWN, window=20)), "forgetting", "window"),
        (ended(8, 0.1, Limits(capacity=0)), "forgetting", None),  # 8 were held all the same
        (ended(16, 0.1, Limits()), "forgetting", None),
        (replace(ended(16, 0.1), ended_by="pruned"), None, None),
    ],
)
def test_the_smallest_limit_that_was_not_passed(
    record: Record, limited_by: str | None, why: str | None
) -> None:
    (row,) = tables.trials([record], ladder=SPEC.ladder).to_dict("records")
    assert (row["limited_by"], row["why"]) == (limited_by, why)
    assert tags(record, SPEC).get("why") == why


def test_what_is_limited_by_skill_is_explained_by_nothing_else() -> None:
    record = ended(16, 0.97)
    asked = SPEC.ladder.model_copy(update={"success": 0.98})
    (row,) = tables.trials([record], ladder=asked).to_dict("records")
    assert (row["limited_by"], row["why"]) == ("skill, not forgetting", "skill")
    assert "failed at 32:" not in leaderboard_markdown([record], asked)


def test_it_stands_beside_how_the_trial_ended() -> None:
    record = ended(16, 0.1)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(leaderboard([record], asked=SPEC.ladder))
    assert "failed at 32: gradient" in console.export_text()
    assert "failed at 32: gradient, limited by forgetting" in leaderboard_markdown(
        [record], SPEC.ladder
    )
    assert "its gradient ends there" in story.what_won([record], SPEC, [])


def test_the_limits_are_points_of_its_run() -> None:
    found = {point.key: point.value for point in points(ended(16, 0.1), SPEC)}
    limits = {key: value for key, value in found.items() if key.startswith("limit_")}
    assert limits == {"limit_gradient": 24, "limit_precision": 2.0**23, "limit_cost": 900}


def test_what_an_earlier_version_reported_has_none() -> None:
    told = ended(16, 0.1).report.to_json()
    del told["limits"]
    assert Report.from_json(told).limits == {}
    assert replace(ended(16, 0.1), report=Report.from_json(told)).why("forgetting") is None
