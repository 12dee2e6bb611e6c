"""A search, from spec to ledger: Tune schedules, Optuna proposes, MLflow records."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray import tune
from ray.tune import TuneError
from ray.tune.schedulers import TrialScheduler

from search.afterwards import measure_stopped
from search.constraints import Constraints
from search.export import export_best
from search.extension import reopen
from search.folder import SearchFolder, UserError
from search.joining import Joined, ray_for
from search.ledger import Ledger
from search.live import Display
from search.logged_model import publish
from search.machines import slots
from search.ray_trainable import train
from search.recording import Recorder
from search.resources import of_trial, resolve
from search.retries import Retries, disk_failed
from search.scheduler import known_as, make_scheduler
from search.searcher import StudySearch, make_sampler
from search.spaces import find_space
from search.spec import Spec
from search.study import restore_study


@dataclass(frozen=True)
class Ended:
    """How a run of a search ended.

    Attributes:
        finished: whether every trial has come to an end
        behind: one line where MLflow could not be brought up to date
    """

    finished: bool
    seconds: float
    behind: str | None


def run_search(spec: Spec, folder: SearchFolder, display: Display) -> Ended:
    """Run the search until its trials have ended or Ctrl-C; go on where an earlier run stopped.

    Raises:
        UserError: if a disk takes nothing more.
    """
    try:
        return _run_search(spec, folder, display)
    except (OSError, TuneError) as error:
        disk = _of_a_disk(error)
        if disk is None:
            raise
        raise UserError(
            f"{disk.filename or folder.runs}: {disk.strerror}; make room, then "
            f"`longspan resume {folder.name}` goes on: what was measured is kept"
        ) from error


def _of_a_disk(error: BaseException | None) -> OSError | None:
    """The error of a full or broken disk behind what Tune made of it."""
    while error is not None and not disk_failed(error):
        error = error.__cause__ or error.__context__
    return error


def _run_search(spec: Spec, folder: SearchFolder, display: Display) -> Ended:
    with folder.locked():
        recorder = Recorder(spec, folder)
        ledger = Ledger(folder, listeners=(recorder, display))
        reopen(ledger, spec)
        recorder.start(list(ledger.records.values()))
        started = time.monotonic()
        try:
            # Tune ends by itself at Ctrl-C; before it has started, or at the second, Python does.
            with (
                suppress(KeyboardInterrupt),
                ray_for(folder) as joined,
                display.following(ledger),
            ):
                if not _all_ended(spec, ledger):
                    resources = resolve(spec, folder, find_space(spec), joined)
                    spec = spec.model_copy(update={"resources": resources})
                _fit(spec, folder, ledger, joined)
                if _all_ended(spec, ledger):  # not after Ctrl-C
                    measure_stopped(spec, folder, ledger, joined, display.measuring)
        finally:
            records = list(ledger.records.values())
            finished = _all_ended(spec, ledger)
            seconds = time.monotonic() - started
            behind = recorder.close(records, finished)
        if finished and behind is None:
            behind = _publish_best(spec, folder)
    return Ended(finished, seconds, behind)


def _all_ended(spec: Spec, ledger: Ledger) -> bool:
    return sum(record.finished for record in ledger.records.values()) >= spec.search.trials


def _publish_best(spec: Spec, folder: SearchFolder) -> str | None:
    """Export the best trial and log it as a model; one line if MLflow could not take it."""
    try:
        publish(spec, folder, export_best(folder, spec))
    except UserError as error:
        return f"{error}; `longspan export {folder.name} --register MODEL` logs the model later"
    return None


def _fit(spec: Spec, folder: SearchFolder, ledger: Ledger, joined: Joined) -> None:
    space = find_space(spec)
    seed = spec.search.seed
    ledger.mend_outcomes()
    study = restore_study(folder.journal, spec.name, space, ledger, spec.search.start_with)
    searcher = StudySearch(
        space,
        study,
        ledger,
        lambda number: make_sampler(spec.search.sampler, seed, number),
        spec.search.trials,
        Constraints(spec).broken,
    )
    if not searcher.left:
        return
    finished = [record for record in ledger.records.values() if record.finished]
    trainable = tune.with_parameters(
        train, spec=joined.spec(spec, folder), trials=str(folder.trials), store=joined.store
    )

    def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return of_trial(spec.resources, config["whole_device"])

    make_tuner(
        tune.with_resources(trainable, resources),
        searcher,
        make_scheduler(spec, space, finished),
        folder,
        spec.search.concurrency or slots(joined.machines, spec.resources),
    ).fit()


def make_tuner(
    trainable: Any,
    searcher: StudySearch,
    scheduler: TrialScheduler,
    folder: SearchFolder,
    concurrency: int,
) -> tune.Tuner:
    """Tune, led by the searcher: it says when there are no more trials and what is tried again."""
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # until the searcher has no more
            max_concurrent_trials=concurrency,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"trial-{trial.config['number']:05d}",
            trial_name_creator=lambda trial: f"trial-{trial.config['number']:05d}",
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%d-%H%M%S"),
            storage_path=str(folder.tune),
            callbacks=[Retries(searcher.lost, partial(known_as, scheduler))],
            verbose=0,
        ),
    )
