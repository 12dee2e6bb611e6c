"""The ledger: what it keeps of a trial at every turn, on disk before anybody is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record, Refused
from tests.trainables.training.stand_ins import trial_config
from trainables.measure.records import CurvePoint, FinalPoints, MemberRung
from trainables.measure.report import Report

ONE, OTHER = (trial_config(kind).model_dump(mode="json") for kind in ("lstm", "gru"))
SOLVED, FAILED = MemberRung("recall", 8, 0, "solved"), MemberRung("recall", 16, 0, "budget")


class Seconds:
    """A clock that is a quarter of a second on whenever it is asked."""

    now = 1000.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    folder = SearchFolder(tmp_path, "s")
    folder.create("name: s\n")
    return folder


@pytest.fixture
def ledger(folder: SearchFolder) -> Ledger:
    """One trial has begun."""
    ledger = Ledger(folder, clock=Seconds())
    ledger.started(0, {"a/b": 1}, ONE, "d" * 64)
    return ledger


def kept(folder: SearchFolder) -> Record:
    """The trial as a driver that is started anew finds it."""
    return Ledger(folder).records[0]


def test_a_trial_starts_once_and_its_first_end_counts(folder: SearchFolder, ledger: Ledger) -> None:
    """At milliseconds since the epoch."""
    ledger.started(0, {"a/b": 2}, OTHER, "e" * 64)
    begun = Record(0, {"a/b": 1}, ONE, "d" * 64, started_ms=1_000_250)
    assert kept(folder) == ledger.records[0] == begun
    ledger.finished(0, "error", "the sky fell")
    ledger.finished(0, "top")
    ended = kept(folder)
    assert (ended.ended_by, ended.error, ended.ended_ms) == ("error", "the sky fell", 1_000_500)


def test_who_listens_hears_what_is_on_disk(folder: SearchFolder) -> None:
    heard: list[Record] = []
    told = Ledger(folder, (lambda record: heard.append(kept(folder)), heard.append))
    told.started(0, {}, ONE, "")
    told.reported(0, Report(progress=1.0))
    assert heard == [heard[0], heard[0], heard[2], heard[2]]
    assert [record.progress for record in heard] == [0.0, 0.0, 1.0, 1.0]


def test_a_report_is_kept_once_and_one_as_far_as_the_last_is_a_new_one(
    folder: SearchFolder, ledger: Ledger
) -> None:
    """More is measured on the way to the next rung; only what fell back is not kept."""
    heard: list[Record] = []
    ledger = Ledger(folder, (heard.append,))
    for sequences in (10, 10, 20):
        ledger.reported(0, Report(progress=3.0, sequences=sequences))
        assert kept(folder).report.sequences == sequences
    assert len(heard) == 2
    ledger.reported(0, Report(progress=2.0, sequences=30))
    assert kept(folder).report.sequences == 20
    ledger.reported(0, Report(progress=2.0, ended_by="failed_rung"))
    assert kept(folder).report.ended_by == "failed_rung", "an end is heard whatever it says"


def test_lost_workers_are_counted_and_of_them_those_that_died(
    folder: SearchFolder, ledger: Ledger
) -> None:
    counted = []
    for died in (True, False, True, True):
        record = ledger.lost_its_worker(0, died)
        assert record == kept(folder)
        counted.append((record.losses, record.deaths))
    assert counted == [(1, 1), (2, 1), (3, 2), (4, 3)]


def test_what_is_measured_afterwards_joins_what_was_there(
    folder: SearchFolder, ledger: Ledger
) -> None:
    curve = FinalPoints((CurvePoint("recall", 8, 127, 128, True),))
    reaches = {"recall": 8, "copying": 4}
    ledger.reported(0, Report(reaches=reaches, final={"recall": curve}, reach=4))
    assert not kept(folder).looked_at
    ledger.looked_at(0, {"copying": FinalPoints()})
    found = kept(folder)
    assert found.report.final == {"recall": curve, "copying": FinalPoints()}
    assert (found.looked_at, found.reach) == (True, 4)


@pytest.mark.parametrize(
    ("ended_by", "stop", "goes_on"),
    [("top", 32, True), ("top", 16, False), ("failed_rung", 32, False), ("pruned", 32, False)],
)
def test_only_a_trial_that_ended_at_a_lower_top_goes_on(
    folder: SearchFolder, ledger: Ledger, ended_by: str, stop: int, goes_on: bool
) -> None:
    top = MemberRung("recall", 16, 0, "solved")
    ledger.reported(0, Report(progress=4.0, ended_by=ended_by, rows=(SOLVED, top)))
    ledger.finished(0, ended_by, "told to Optuna too late")
    before = kept(folder)
    ledger.reopen(stop)
    found = kept(folder)
    if not goes_on:
        assert found == before
        return
    assert (found.ended_by, found.ended_ms, found.error) == (None, None, None)
    assert found.report == Report(progress=4.0, rows=(SOLVED, top))


def test_rows_are_in_the_outcomes_when_they_are_reported(
    folder: SearchFolder, ledger: Ledger
) -> None:
    """Not before there are any, and not again where nothing is new."""
    part = outcomes.part(folder.outcomes, 0)
    ledger.reported(0, Report(sequences=1))
    assert not part.exists()
    ledger.reported(0, Report(rows=(SOLVED,)))
    assert outcomes.holds(folder.outcomes, 0, "d" * 64, (SOLVED,))
    part.unlink()
    ledger.reported(0, Report(rows=(SOLVED,), sequences=2))
    assert not part.exists()
    ledger.reported(0, Report(rows=(SOLVED, FAILED)))
    assert outcomes.holds(folder.outcomes, 0, "d" * 64, (SOLVED, FAILED))


def test_what_is_refused_is_kept_line_by_line(
    folder: SearchFolder, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """A line that is damaged is named, by the number that an editor gives it."""
    said = [Refused(3, {"a/b": 7}, 0.5), Refused(4, {"a/b": 9}, 1.5)]
    for proposal in said:
        ledger.refuse(proposal.number, proposal.parameters, proposal.excess)
    assert ledger.refused == Ledger(folder).refused == {3: said[0], 4: said[1]}
    assert not caplog.messages
    first, second = folder.refused.read_text().splitlines(keepends=True)
    folder.refused.write_text(first + second[:-5])
    assert Ledger(folder).refused == {3: said[0]}
    assert caplog.messages == [f"{folder.refused}: line 2 is damaged; its proposal is judged anew"]


def test_a_search_runs_while_it_is_locked_and_is_finished_when_all_have_ended(
    folder: SearchFolder, ledger: Ledger
) -> None:
    """Asked by another process, whose ledger was read from disk."""
    assert ledger.state(1) == "stopped"
    ledger.finished(0, "top")
    assert (ledger.state(1), ledger.state(2)) == ("finished", "stopped")
    with folder.locked():
        assert ledger.state(1) == "running"


def test_a_part_that_is_missing_is_written_anew_and_named(
    folder: SearchFolder, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.reported(0, Report(rows=(SOLVED,)))
    part = outcomes.part(folder.outcomes, 0)
    part.unlink()
    ledger.mend_outcomes()
    ledger.mend_outcomes()
    assert caplog.messages == [f"{part}: was missing or damaged; written anew from the ledger"]
