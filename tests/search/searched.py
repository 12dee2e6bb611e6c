"""A finished search as the command leaves it, its trials trained here: no Ray, seconds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search import spec as specs
from search.checking.preflight import check_tasks
from search.disk.folder import SearchFolder
from search.disk.kept_tasks import keep_tasks, kept_encodings
from search.disk.ledger import Ledger
from search.recording.logged_model import publish
from search.recording.tracker import Tracker
from search.results.export import export_best
from search.spec import Spec
from tests.trainables.training.stand_ins import CPU
from trainables.config import TrialConfig
from trainables.measure.report import Report
from trainables.trial import TrialSpec, run_trial

LSTM = {"model": {"cell": "lstm", "hidden_size": 16}, "training": {"learning_rate": 0.01}}


def searched(
    spec_file: Path, runs: Path, configurations: Sequence[dict[str, Any]] = (LSTM,)
) -> SearchFolder:
    """The folder of the search of ``spec_file``, whose trials are these configurations."""
    spec = specs.read(spec_file)
    folder = SearchFolder(runs, spec.name)
    tasks = check_tasks(spec)
    folder.create(spec.to_yaml())
    keep_tasks(folder, tasks)
    climb(spec, folder, configurations)
    return folder


def climb(spec: Spec, folder: SearchFolder, configurations: Sequence[dict[str, Any]]) -> None:
    """Bring the trials to their ends; those that have ended at a lower top go on."""
    ledger = Ledger(folder)
    ledger.reopen(spec.ladder.stop)
    encodings = kept_encodings(folder, spec.tasks_by_name)
    for number, plain in enumerate(configurations):
        config = TrialConfig.model_validate(plain)
        ledger.started(number, {"model/cell/kind": config.model.cell.kind},
                       config.model_dump(mode="json"), config.digest)  # fmt: skip

        def report(found: Report, checkpoint: Path | None, number: int = number) -> None:
            ledger.reported(number, found)

        trial = TrialSpec(config, spec.tasks_by_name, spec.ladder, spec.search.seed,
                          encodings=encodings)  # fmt: skip
        ended = run_trial(trial, folder.trial(number), report, CPU)
        ledger.reported(number, ended)
        ledger.finished(number, str(ended.ended_by))


def recorded(folder: SearchFolder) -> Tracker:
    """MLflow brought up to date with it, its best logged: as at a search's end."""
    spec = specs.read(folder.spec)
    tracker = Tracker(spec, folder)
    tracker.begin()
    records = list(Ledger(folder).records.values())
    for record in records:
        tracker.send(record)
    tracker.end(records, finished=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, at its import
        publish(spec, folder, export_best(folder, spec))
    return tracker
