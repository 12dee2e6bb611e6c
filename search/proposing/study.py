"""Optuna's study, as it follows from the ledger.

The ledger holds what every trial was and how it ended. When a search starts or goes on, the study
is written from it anew, so a crash between the two, a torn journal, or a space that has gained
choices (Optuna allows none during a study) leave nothing to repair. The journal is asked for two
things only: the parameters of a trial whose record is damaged, and what samplers noted, such as a
trial's generation; without the notes they go on from what was measured.
"""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from search.disk.ledger import Ledger
from search.disk.ranking import AIMS
from search.disk.record import Record, Refused
from search.proposing.bounded_study import MISSING, Annotations, BoundedStorage, BoundedStudy
from search.proposing.constraints import EXCESS
from search.proposing.draws import proposed
from search.proposing.journal import Journal
from search.proposing.new_study import new_study
from search.proposing.samplers import METRIC
from spaces import Space
from trainables.description import describe
from trainables.files.whole_files import set_aside
from trainables.messages import one_line

log = logging.getLogger(__name__)


def open_study(journal: Path, name: str) -> optuna.Study:
    """The study in a journal file, as a process reads it that does not hold the search."""
    return new_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name=name,
        load_if_exists=True,
    )


def restore_study(
    journal: Path,
    name: str,
    space: Space,
    ledger: Ledger,
    start_with: Sequence[Mapping[str, Any]] = (),
    objectives: Sequence[str] = (METRIC,),
) -> BoundedStudy:
    """The study of a ledger, written to ``journal``, with a value for each of the objectives.

    A trial is complete if the ledger says that it ended, and running if not; one that the ledger
    does not know, below others that it does, waits to be proposed, as do the trials with which the
    search is to start. A refused proposal is pruned, and says by how much it was too large.

    Raises:
        UserError: in one line, if another version of Longspan wrote a record.
    """
    ledger.require_known()
    journaled, of_study = _journaled(journal, name, ledger)
    known = {
        number: trial.params
        for number, trial in journaled.items()
        if number in ledger.damaged and _complete(trial.params, space)
    }
    for number in sorted(ledger.damaged):
        again = "goes on from its checkpoint" if number in known else "is proposed anew"
        log.warning("%s; trial %d %s", ledger.damaged[number], number, again)
    taken = [*ledger.records, *ledger.damaged, *ledger.refused, len(start_with) - 1]
    last = max(taken, default=-1)
    lines = Journal()
    storage = BoundedStorage(lines)
    study = new_study(len(objectives), storage=storage, study_name=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(list(objectives))
    for key, note in of_study.items():
        storage.set_study_system_attr(storage.get_study_id_from_name(name), key, note)
    for number in range(last + 1):
        if number in ledger.records:
            record, notes = ledger.records[number], _notes(journaled, number)
            study.add_trial(_of_record(record, space, notes, objectives))
        elif number in known:
            study.add_trial(_running(known[number], space))
        elif number in ledger.refused:
            study.add_trial(_of_refused(ledger.refused[number], space))
        else:
            study.enqueue_trial(dict(start_with[number]) if number < len(start_with) else {})
    lines.write_to(journal)
    return BoundedStudy(name, storage)


def state_and_values(
    record: Record, objectives: Sequence[str] = (METRIC,)
) -> tuple[TrialState, list[float] | None]:
    """What Optuna is told of a trial that has ended: progress, then what is to be small.

    One that was stopped is a lower bound, and is told to be no less than what failed the rung that
    it was stopped on: it may exceed that.
    """
    if not record.reported:
        return TrialState.FAIL, None
    found = record.progress
    if record.ended_by == "pruned":
        found = max(found, record.report.censored_progress)
    return TrialState.COMPLETE, [found, *(AIMS[lesser](record) for lesser in objectives[1:])]


def annotations_of(record: Record, objectives: Sequence[str] = (METRIC,)) -> Annotations:
    """What people see of a trial that has ended: optuna-dashboard shows it beside the parameters.

    By lag, how often the members were right at their last look, on average. Where there are
    several objectives, whoever passed no rung is small in vain: it breaks a constraint, the less
    the nearer it came.
    """
    shown: dict[int, list[float]] = {}
    for row in record.rows:
        if row.looks and math.isfinite(row.success_rate):
            shown.setdefault(row.lag, []).append(row.success_rate)
    attributes = {
        "ended by": record.end_text,
        "architecture": describe(record.configuration),
        "reach": record.reach,
        "GFLOP": record.report.training_gflop,
        "members": _members(record),
        **{f"reach on {on.task}": on.reach for on in record.tasks if len(record.tasks) > 1},
        **({"error": record.error} if record.error else {}),
    }
    missing = None
    if len(objectives) > 1 and record.reported:
        missing = 0.0 if record.reach else 1 / (1 + record.progress)
    return Annotations(attributes, {lag: fmean(rates) for lag, rates in shown.items()}, missing)


def _members(record: Record) -> str:
    """How many of them solved each rung that was tried."""
    lags = sorted({row.lag for row in record.rows})
    words = []
    for lag in lags:
        rows = [row for row in record.rows if row.lag == lag]
        words.append(f"{lag}: {sum(row.solved for row in rows)} of {len(rows)}")
    return ", ".join(words)


def _notes(journaled: Mapping[int, FrozenTrial], number: int) -> dict[str, Any]:
    """What samplers noted of a trial."""
    return dict(journaled[number].system_attrs) if number in journaled else {}


def _of_record(
    record: Record, space: Space, notes: Mapping[str, Any], objectives: Sequence[str]
) -> FrozenTrial:
    trial = _running(record.parameters, space, notes)
    trial.datetime_start = _moment(record.started_ms)
    if record.finished:
        found = annotations_of(record, objectives)
        trial.user_attrs = dict(found.attributes)
        trial.intermediate_values = dict(found.by_lag)
        if found.missing is not None and MISSING not in trial.constraints:
            trial.set_constraint(MISSING, found.missing)
        trial.state, values = state_and_values(record, objectives)
        if values is not None:
            trial.values = values
        trial.datetime_complete = _moment(record.ended_ms or record.started_ms)
    return trial


def _of_refused(proposal: Refused, space: Space) -> FrozenTrial:
    trial = _running(proposal.parameters, space)
    trial.state = TrialState.PRUNED
    trial.set_constraint(EXCESS, proposal.excess)
    trial.datetime_complete = trial.datetime_start
    return trial


def _running(
    parameters: Mapping[str, Any], space: Space, notes: Mapping[str, Any] = {}
) -> FrozenTrial:
    """A trial under way, with what ``space`` can say of its parameters today.

    What the space no longer suggests is left out: the sampler cannot learn from it.
    """
    suggested, error = _suggested(parameters, space)
    if error:
        log.warning("space: %s", one_line(error))
    distributions = {
        name: distribution
        for name, distribution in suggested.items()
        if contains(distribution, parameters[name])
    }
    return create_trial(
        state=TrialState.RUNNING,
        params={name: parameters[name] for name in distributions},
        distributions=distributions,
        system_attrs=dict(notes),
    )


def _complete(parameters: Mapping[str, Any], space: Space) -> bool:
    """Whether the parameters are all that ``space`` asks for, each with a value that it offers."""
    suggested, error = _suggested(parameters, space)
    return not error and all(
        contains(distribution, parameters[name]) for name, distribution in suggested.items()
    )


def _suggested(
    parameters: Mapping[str, Any], space: Space
) -> tuple[dict[str, BaseDistribution], ValueError | None]:
    """What ``space`` offers for the parameters, and why it came to no end, if it did not."""
    trial = FixedTrial(dict(parameters))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a value out of its range: see `_contains`
            proposed(space, trial)
    except ValueError as error:
        return trial.distributions, error
    return trial.distributions, None


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a parameter may have a value; `create_trial` refuses one that it may not."""
    try:
        create_trial(value=0.0, params={"it": value}, distributions={"it": distribution})
    except ValueError:
        return False
    return True


def _moment(milliseconds: int) -> datetime:
    """Optuna's times are local and carry no zone."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().replace(tzinfo=None)


def _journaled(
    journal: Path, name: str, ledger: Ledger
) -> tuple[dict[int, FrozenTrial], dict[str, Any]]:
    """Trials by number, and notes of the study, from the whole lines at the journal's head.

    A damaged journal is kept.
    """
    if not journal.exists():
        return {}, {}
    lines, damaged = Journal(), False
    for line in journal.read_bytes().splitlines(keepends=True):
        try:
            lines.append_logs([json.loads(line)])
            damaged = not line.endswith(b"\n")
        except ValueError:
            damaged = True
        if damaged:
            break
    try:
        storage = JournalStorage(lines)
        study = optuna.load_study(storage=storage, study_name=name)
        notes = storage.get_study_system_attrs(storage.get_study_id_from_name(name))
        found = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    except Exception:  # whatever a flipped bit makes of a line that is still JSON
        found, notes, damaged = {}, {}, True
    for number in found.keys() & ledger.records.keys():
        known = ledger.records[number].parameters
        damaged |= not found[number].params.items() <= known.items()
    if damaged:
        kept = set_aside(journal)
        log.warning("%s: damaged; kept as %s, written anew from the ledger", journal, kept.name)
    return found, notes
