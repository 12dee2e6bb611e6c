"""The ledger: what is known of every trial, on disk before anybody else is told.

A trial's record is one JSON file, replaced whole at every report. Optuna's study, MLflow and the
Parquet outcomes can all be brought up to date from it after a crash.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from search.disk.folder import SearchFolder
from search.disk.record import Record, Refused
from search.errors import UserError
from trainables.files.bounded import require_file
from trainables.files.whole_files import DamagedFileError, read_json, write_json
from trainables.measure.plain import NotReadableError
from trainables.measure.records import FinalPoints
from trainables.measure.report import Report
from trainables.messages import named

log = logging.getLogger(__name__)

Listener = Callable[["Record"], None]


class Ledger:
    """The records of one search.

    Args:
        listeners: told of every change, after it is on disk

    Attributes:
        records: by number
        damaged: one line by number for each record that is damaged or gone
        unknown: one line by number for each record that another version of Longspan wrote, or
            that this process cannot read
        strays: one line for each file or folder among the trials that is none
        refused: by number, the proposals that broke constraints, which are no trials
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
        self.unknown: dict[int, str] = {}
        self.strays: list[str] = []
        self.refused = {proposal.number: proposal for proposal in _refused(folder.refused)}
        measured = {number for path in folder.outcomes.glob("*.parquet")
                    if (number := _number(path.stem)) is not None}  # fmt: skip
        there = sorted(folder.trials.iterdir()) if folder.trials.is_dir() else []
        for path in there:
            number = _number(path.name)
            if number is not None and path.is_dir():
                self._read(number, path, number in measured)
            elif not path.name.startswith("."):
                self.strays.append(f"{path}: is no trial's folder; it is left as it is")
        for number in sorted(measured - self.records.keys() - self.damaged.keys()):
            if number not in self.unknown:
                gone = f"{folder.trial(number)}: is gone, though trial {number} has outcomes"
                self.damaged[number] = gone

    def _read(self, number: int, folder: Path, is_measured: bool) -> None:
        path = folder / "record.json"
        try:
            record = Record.from_json(read_json(path))
        except FileNotFoundError:
            if is_measured or any(not file.name.startswith(".") for file in folder.iterdir()):
                self.damaged[number] = f"{path}: is gone"
        except DamagedFileError as error:
            self.damaged[number] = str(error)
        except NotReadableError as error:
            self.unknown[number] = f"{path}: {error}"
        except OSError as error:  # it may be whole for whoever may read it, or later
            self.unknown[number] = f"{path}: cannot be read: {error.strerror}"
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            self.damaged[number] = f"{path}: damaged: {named(error)}"
        else:
            if record.number == number:
                self.records[number] = record
            elif is_measured:
                self.damaged[number] = f"{path}: damaged: it is trial {record.number}'s record"
            else:
                self.strays.append(f"{folder}: is a copy of trial {record.number}; it is left out")

    @property
    def name(self) -> str:
        """Of the search."""
        return self._folder.name

    @property
    def unreadable(self) -> list[str]:
        """One line for each trial of which nothing is known here, and so none of its places."""
        found = {**self.damaged, **self.unknown}
        return [found[number] for number in sorted(found)]

    @property
    def complaints(self) -> list[str]:
        """One line for all that is not as a search leaves it."""
        return [*self.unreadable, *self.strays]

    @property
    def left_out(self) -> str:
        """In one sentence, which trials have no place though they may have earned one; or empty."""
        numbers = ", ".join(map(str, sorted({*self.damaged, *self.unknown})))
        if not numbers:
            return ""
        again = f"`{self._folder.command('resume')}` runs those with a damaged record again"
        return f"not ranked, for their records cannot be read: trial {numbers}; {again}"

    @property
    def warnings(self) -> list[str]:
        """The complaints, and at last which trials have no place for them."""
        return [*self.complaints, *filter(None, [self.left_out])]

    def require_known(self) -> None:
        """Refuse to go on with a search that another version has written to, or is not all read.

        Raises:
            UserError: in one line, of its first record.
        """
        for number in sorted(self.unknown):
            raise UserError(self.unknown[number])

    def state(self, wanted: int) -> str:
        """``running``, ``finished`` if as many trials as are wanted have ended, or ``stopped``."""
        if self._folder.busy:
            return "running"
        return "finished" if self.ended >= wanted else "stopped"

    @property
    def ended(self) -> int:
        """How many trials have come to an end."""
        return sum(record.finished for record in self.records.values())

    @property
    def training_gflop(self) -> float:
        """Training cost of all trials so far, in GFLOP."""
        return sum(record.report.training_gflop for record in self.records.values())

    def started(
        self,
        number: int,
        parameters: dict[str, Any],
        configuration: dict[str, Any],
        digest: str,
        origin: str = "",
    ) -> None:
        """A trial was proposed; one that is known goes on as it was."""
        if number in self.records:
            return
        now = self._now()
        self._put(Record(number, parameters, configuration, digest, now, origin=origin))

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
        from search.disk import outcomes

        for number, record in self.records.items():
            found = self._folder.outcomes, number, record.digest, record.rows
            if record.rows and not outcomes.holds(*found):
                part = outcomes.write(*found, record.parameters)
                log.warning("%s: was missing or damaged; written anew from the ledger", part)

    def _put(self, record: Record) -> None:
        folder = self._folder.trial(record.number)
        folder.mkdir(parents=True, exist_ok=True)
        before = self.records.get(record.number)
        if record.rows and (before is None or record.rows != before.rows):
            from search.disk import outcomes  # whoever only reads does without Arrow

            found = self._folder.outcomes, record.number, record.digest, record.rows
            outcomes.write(*found, record.parameters)
        write_json(folder / "record.json", record.to_json())
        self.records[record.number] = record
        for listener in self._listeners:
            listener(record)

    def _now(self) -> int:
        return round(self._clock() * 1000)


WITHOUT_DAMAGED = "--without-damaged"


def require_all_ranked(ledger: Ledger, is_meant: bool) -> None:
    """Refuse a choice of the best where not all can be ranked, unless that ``is_meant``.

    What is not as a search leaves it is told either way.

    Raises:
        UserError: in one line: the second best is not to go out as the best.
    """
    for line in ledger.complaints:
        log.warning("%s", line)
    if ledger.left_out and not is_meant:
        raise UserError(
            f"name: which trial of {ledger.name!r} is the best is not known: {ledger.left_out}, and"
            f" {WITHOUT_DAMAGED} takes the best of the others"
        )


def _number(name: str) -> int | None:
    """Of a trial, by the name of its folder or of its file of outcomes; None of another."""
    return int(name) if re.fullmatch(r"\d{5}|[1-9]\d{5,}", name) else None


def _refused(path: Path) -> Iterator[Refused]:
    """Every line that is whole; a proposal of which the line is damaged is judged anew."""
    try:
        require_file(path)
    except FileNotFoundError:
        return
    except ValueError as error:
        log.warning("%s; what was refused is judged anew", error)
        return
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            yield Refused(**json.loads(line))
        except (ValueError, TypeError):
            log.warning("%s: line %d is damaged; its proposal is judged anew", path, number)
