"""Trials that were stopped are measured too: their forgetting curve and gradient horizon.

A trial that ends by itself measures its final weights before it reports its end. One that the
scheduler stopped, or whose worker died, had no time to; a task of the same cluster does it from
what the trial left on disk, when the search has nothing else to run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray

from search.cluster.trial_folders import trial_folder
from search.disk.folder import SearchFolder
from search.disk.kept_tasks import kept_encodings
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.scheduling.preparation import prepare
from search.scheduling.ray_session import RaySession
from search.scheduling.resources import options
from search.spec import Spec, revive
from trainables.encoding.encoding import Encoding
from trainables.measure.records import FinalPoints
from trainables.messages import one_line
from trainables.trial import measure_final

log = logging.getLogger(__name__)


def unmeasured(ledger: Ledger) -> list[Record]:
    """Trained trials that have ended without their final weights looked at."""
    return [r for r in ledger.records.values() if r.finished and r.trained and not r.looked_at]


def measure_stopped(
    spec: Spec,
    folder: SearchFolder,
    ledger: Ledger,
    session: RaySession,
    said: Callable[[int, int], None],
) -> None:
    """Measure every trial that is yet `unmeasured`, through Ray, and tell the ledger.

    ``said`` is told how many are done, of how many.
    """
    waiting = unmeasured(ledger)
    if not waiting:
        return
    remote = ray.remote(**options(spec.resources))(_measure)
    encodings = kept_encodings(folder, spec.tasks_by_name)
    where = session.spec_of_workers(spec, folder), str(folder.trials), session.store, encodings
    running = {remote.remote(record, *where): record.number for record in waiting}
    while running:
        said(len(waiting) - len(running), len(waiting))
        (done, *_), _ = ray.wait(list(running), num_returns=1)
        number = running.pop(done)
        try:
            ledger.looked_at(number, ray.get(done))
        except ray.exceptions.RayError as error:
            reason = one_line(error)[-200:]
            log.warning("trial %d: its forgetting curve could not be measured: %s", number, reason)


def _measure(
    record: Record,
    spec: dict[str, Any],
    trials: str,
    store: Any,
    encodings: Mapping[str, Encoding],
) -> dict[str, FinalPoints]:
    """One stopped trial's points of the curve and of the horizon, by task."""
    searched = revive(spec)
    trial, device = prepare(searched, record.configuration, encodings=encodings)
    with trial_folder(Path(trials), record.number, store) as (folder, _):
        return measure_final(trial, folder, record.report, device)
