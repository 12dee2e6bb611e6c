"""Tune, led by the searcher."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ray import tune
from ray.tune import Stopper
from ray.tune.schedulers import TrialScheduler

from search.disk.folder import SearchFolder
from search.disk.kept_tasks import kept_encodings
from search.disk.ledger import Ledger
from search.proposing.budget import Budget
from search.proposing.constraints import Constraints
from search.proposing.samplers import sampler_of
from search.proposing.searcher import StudySearch
from search.proposing.study import restore_study
from search.scheduling.machines import slots
from search.scheduling.ray_session import RaySession
from search.scheduling.resources import of_trial
from search.scheduling.retries import Retries
from search.scheduling.scheduler import make_scheduler
from search.spec import Spec
from search.spec.spaces import find_space


def fit(
    spec: Spec,
    folder: SearchFolder,
    ledger: Ledger,
    session: RaySession,
    budget: Budget,
    watched: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Run what is left of the trials, within the budget; space and sampler are ``watched``."""
    space = find_space(spec)
    ledger.mend_outcomes()
    aims = spec.search.objectives
    study = restore_study(folder.journal, spec.name, space, ledger, spec.search.first, aims)
    searcher = StudySearch(
        space,
        study,
        ledger,
        sampler_of(spec),
        spec.search.trials,
        Constraints(spec).exceeded,
        budget.stop_all,
        spec.search.origin_of,
        aims,
        watched,
    )
    if not searcher.left or budget.stop_all():
        return
    finished = [record for record in ledger.records.values() if record.finished]
    shared, whole = (of_trial(spec.resources, alone) for alone in (False, True))

    # Both are pickled as they stand, so that workers come up before they import what a trial takes:
    # while one comes up, Tune gives its trial to the first that is free, and ends it.
    def train(config: dict[str, Any], **given: Any) -> None:
        from search.scheduling import worker

        worker.train(config, **given)

    def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return whole if config["whole_device"] else shared

    trainable = tune.with_parameters(
        train,
        spec=session.spec_of_workers(spec, folder),
        trials=str(folder.trials),
        store=session.store,
        encodings=kept_encodings(folder, spec.tasks_by_name),
    )

    make_tuner(
        tune.with_resources(trainable, resources),
        searcher,
        make_scheduler(spec, space, finished),
        ledger,
        folder,
        spec.search.concurrency or slots(session.machines, spec.resources),
        budget,
    ).fit()


def make_tuner(
    trainable: Any,
    searcher: StudySearch,
    scheduler: TrialScheduler,
    ledger: Ledger,
    folder: SearchFolder,
    concurrency: int,
    stop: Stopper | None = None,
) -> tune.Tuner:
    """Tune, led by the searcher: it says what is tried next, and when there are no more trials."""
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
            callbacks=[Retries(searcher, ledger)],
            stop=stop,
            verbose=0,
        ),
    )
