"""An order that can be defended: reach, certificate, what may do more, what a rung showed."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from search.disk.ranking import places, rank
from search.disk.record import Record
from search.results.leaderboard import leaderboard
from tests.trainables.training.stand_ins import trial_config
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import MemberRung
from trainables.measure.report import Report

CONFIGURATION = trial_config("gru", "scratch").model_dump(mode="json")


def trial(number: int, reach: int, progress: float, ended_by: str, digest: str = "") -> Record:
    rows = tuple(
        MemberRung("recall", 8, member, "solved", 0.9 + member / 50, test_sequences=500)
        for member in (0, 1)
    )
    report = Report(
        progress=progress, reach=reach, reaches={"recall": reach}, rows=rows, training_gflop=1.0
    )
    return Record(number, {}, CONFIGURATION, digest or str(number), 0, 1, ended_by, report=report)


FAILED = trial(0, 64, 6.9, "failed_rung")
STOPPED = trial(1, 64, 6.2, "pruned")
LESS = trial(2, 64, 6.5, "failed_rung")
CERTIFIED = trial(3, 64, 6.1, "failed_rung", "good")
FARTHER = trial(4, 128, 7.0, "failed_rung")
NOTHING = trial(5, 0, 2.0, "pruned")
ALMOST = trial(6, 0, 2.9, "failed_rung")
ALL = [NOTHING, ALMOST, FAILED, STOPPED, LESS, CERTIFIED, FARTHER]


def test_equal_reaches() -> None:
    """Certified first, then the stopped one, which may do more, then by the failing rung."""
    assert rank(ALL, {"good"}) == [FARTHER, CERTIFIED, STOPPED, FAILED, LESS, ALMOST, NOTHING]
    assert rank(ALL) == [FARTHER, STOPPED, FAILED, LESS, CERTIFIED, ALMOST, NOTHING]


def test_ties_are_said() -> None:
    """They stand by their cost all the same."""
    cheaper = replace(FAILED, number=9, report=replace(FAILED.report, training_gflop=0.5))
    ranked = rank([FAILED, cheaper, FARTHER, LESS])
    assert ranked == [FARTHER, cheaper, FAILED, LESS]
    assert places(ranked) == ["1", "2=", "2=", "4"]


def test_a_reach_is_shown_with_what_it_is_of() -> None:
    """Regime, members, success asked for, and the skill at the shortest rung."""

    def shown(*more: Any) -> str:
        console = Console(width=160, record=True, file=io.StringIO())
        console.print(leaderboard([FAILED, STOPPED, replace(STOPPED, number=7)], 10, None, *more))
        return console.export_text()

    assert "scratch" in shown()
    assert "92.0%" in shown()
    assert "1=" in shown()
    told = " ".join(shown(LadderConfig(start=8, members=3, quorum=2, success=0.9)).split())
    assert "a reach is by 2 of 3 members, success 0.9; skill: success at lag 8" in told
