"""The ledger: what is known of every trial, on disk before anybody else is told.

A trial's record is one JSON file, replaced whole at every report. Optuna's study, MLflow and the
Parquet outcomes can all be brought up to date from it after a crash.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.record import Record, Refused
from search.errors import UserError
from trainables.files.whole_files import DamagedFileError, read_json, write_json
from trainables.measure.plain import NotReadableError
from trainables.measure.records import FinalPoints
from trainables.measure.report import Report

log = logging.getLogger(__name__)

Listener = Callable[["Record"], None]


class Ledger:
    """The records of one search.

    Args:
        listeners: told of every change, after it is on disk

    Attributes:
        records: by number
        damaged: one line by number for each record that cannot be read
        refused: by number, the proposals that broke constraints, which are no trials

    Raises:
        UserError: in one line, if a later version of Longspan wrote a record.
    """

    def __init__(
        self,
        folder: SearchFolder,
        listeners: tuple[Listener, ...] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._listeners, self._clock = folder, listeners, clock
        self.records: dict[int, Record] = {}
        self.damaged: dict[int, str] = {}
        self.refused = {proposal.number: proposal for proposal in _refused(folder.refused)}
        for path in sorted(folder.trials.glob("[0-9]*/record.json")):
            try:
                record = Record.from_json(read_json(path))
                self.records[record.number] = record
            except DamagedFileError as error:
                self.damaged[int(path.parent.name)] = str(error)
            except NotReadableError as error:
                raise UserError(f"{path}: {error}") from None

    def state(self, wanted: int) -> str:
        """``running``, ``finished`` if as many trials as are wanted have ended, or ``stopped``."""
        if self._folder.busy:
            return "running"
        return "finished" if self.ended >= wanted else "stopped"

    @property
    def ended(self) -> int:
        """How many trials have come to an end."""
        return sum(record.finished for record in self.records.values())

    def started(
        self, number: int, parameters: dict[str, Any], configuration: dict[str, Any], digest: str
    ) -> None:
        """A trial was proposed; one that is known goes on as it was."""
        if number in self.records:
            return
        self._put(Record(number, parameters, configuration, digest, started_ms=self._now()))

    def reported(self, number: int, report: Report) -> None:
        """A trial measured something.

        One that went back to an older checkpoint is heard again when it is as far as it was.
        """
        record = self.records[number]
        if report == record.report:
            return
        if report.ended_by or report.progress >= record.progress:
            self._put(replace(record, report=report))

    def finished(self, number: int, ended_by: str, error: str | None = None) -> None:
        """A trial came to an end; the first end counts."""
        record = self.records[number]
        if not record.finished:
            self._put(replace(record, ended_by=ended_by, error=error, ended_ms=self._now()))

    def lost_its_worker(self, number: int, died: bool) -> Record:
        """A trial's worker is gone, whether it died by itself or not; the record that counts it."""
        record = self.records[number]
        self._put(replace(record, losses=record.losses + 1, deaths=record.deaths + died))
        return self.records[number]

    def looked_at(self, number: int, final: Mapping[str, FinalPoints]) -> None:
        """A trial that was stopped was measured afterwards, on these tasks."""
        record = self.records[number]
        report = replace(record.report, final={**record.report.final, **final})
        self._put(replace(record, report=report))

    def reopen(self, stop: int) -> None:
        """Let the trials go on that ended at the top of a ladder below ``stop``; no others."""
        for record in list(self.records.values()):
            if record.ended_by == "top" and max(row.lag for row in record.rows) < stop:
                report = replace(record.report, ended_by=None)
                self._put(replace(record, ended_by=None, ended_ms=None, error=None, report=report))

    def refuse(self, number: int, parameters: dict[str, Any], excess: float) -> None:
        """A proposal broke constraints by so much, and is not trained."""
        self.refused[number] = Refused(number, parameters, excess)
        with self._folder.refused.open("a") as file:
            file.write(json.dumps(asdict(self.refused[number])) + "\n")

    def mend_outcomes(self) -> None:
        """Write again, from the records, each part of the outcomes that is damaged or missing."""
        for number, record in self.records.items():
            found = self._folder.outcomes, number, record.digest, record.rows
            if record.rows and not outcomes.holds(*found):
                part = outcomes.write(*found)
                log.warning("%s: was missing or damaged; written anew from the ledger", part)

    def _put(self, record: Record) -> None:
        folder = self._folder.trial(record.number)
        folder.mkdir(parents=True, exist_ok=True)
        before = self.records.get(record.number)
        if record.rows and (before is None or record.rows != before.rows):
            outcomes.write(self._folder.outcomes, record.number, record.digest, record.rows)
        write_json(folder / "record.json", record.to_json())
        self.records[record.number] = record
        for listener in self._listeners:
            listener(record)

    def _now(self) -> int:
        return round(self._clock() * 1000)


def _refused(path: Path) -> Iterator[Refused]:
    """Every line that is whole; a proposal of which the line is damaged is judged anew."""
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], 1):
        try:
            yield Refused(**json.loads(line))
        except (ValueError, TypeError):
            log.warning("%s: line %d is damaged; its proposal is judged anew", path, number)
