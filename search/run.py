"""A search, from spec to ledger: Tune schedules, Optuna proposes, MLflow records."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

from search.certifying.hunting import Hunt, OverError
from search.certifying.pool import RayPool
from search.checking.unanswered import Watch, own_modules
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from search.proposing.budget import Budget
from search.recording.event_files import EventFiles
from search.recording.recorder import Recorder
from search.results.live_table import Display
from search.scheduling.ray_session import HOW_IN, RaySession, ray_for
from search.scheduling.resources import resolve
from search.scheduling.retries import disk_failed
from search.scheduling.stopped_trials import measure_stopped, unmeasured
from search.scheduling.tuner import fit
from search.spec import Spec
from search.spec.spaces import find_space


@dataclass(frozen=True)
class Ended:
    """How a run of a search ended.

    Attributes:
        finished: whether every trial has come to an end
        budget: one line if a budget of the spec was used up before
        behind: one line where MLflow could not be brought up to date
    """

    finished: bool
    budget: str | None
    behind: str | None


def run_search(spec: Spec, folder: SearchFolder, display: Display) -> Ended:
    """Run the search until its trials have ended or Ctrl-C; go on where an earlier run stopped.

    Raises:
        UserError: if a disk takes nothing more.
    """
    try:
        return _run_search(spec, folder, display)
    except Exception as error:
        from ray.tune import TuneError  # it is there by now: Tune raised it

        disk = _disk_error_behind(error) if isinstance(error, OSError | TuneError) else None
        if disk is None:
            raise
        raise UserError(
            f"{disk.filename or folder.runs}: {disk.strerror}; make room, then "
            f"`{folder.command('resume')}` goes on: what was measured is kept"
        ) from error


def _disk_error_behind(error: BaseException | None) -> OSError | None:
    """The error of a full or broken disk behind what Tune made of it."""
    while error is not None and not disk_failed(error):
        error = error.__cause__ or error.__context__
    return error


def _run_search(spec: Spec, folder: SearchFolder, display: Display) -> Ended:
    with folder.locked():
        recorder, hunt = Recorder(spec, folder), Hunt(spec, folder)
        event_files = EventFiles(spec, folder)
        ledger = Ledger(folder, listeners=(recorder, event_files, display, hunt))
        ledger.require_known()
        ledger.reopen(spec.ladder.stop)
        recorder.start(list(ledger.records.values()))
        event_files.start(ledger.records.values())
        hunt.start(ledger.records.values())
        budget = Budget(spec.search, ledger, pause=hunt.waits, besides=lambda: hunt.gflop)
        used_up: str | None = None
        try:
            # Tune ends by itself at Ctrl-C; before it has started, or at the second, Python does.
            with (
                suppress(KeyboardInterrupt),
                _ray(spec, folder, ledger, hunt) as session,
                display.following(ledger),
            ):
                if session.dashboard:
                    display.say(f"Ray's dashboard: {session.dashboard}; {HOW_IN}")
                if not _all_ended(spec, ledger):
                    resources = resolve(spec, folder, find_space(spec), session)
                    spec = spec.model_copy(update={"resources": resources})
                _fit(spec, folder, ledger, session, budget, hunt, display)
                used_up = None if _all_ended(spec, ledger) else hunt.found or budget.used_up
                if used_up or _all_ended(spec, ledger):  # not after Ctrl-C
                    measure_stopped(spec, folder, ledger, session, display.measuring)
        finally:
            records = list(ledger.records.values())
            finished = _all_ended(spec, ledger)
            folder.note_early_end(used_up)
            behind = recorder.close(records, finished, used_up)
        if (finished or used_up) and behind is None and any(r.reported for r in records):
            behind = _publish_best(spec, folder)
    return Ended(finished, used_up, behind)


def _ray(
    spec: Spec, folder: SearchFolder, ledger: Ledger, hunt: Hunt
) -> AbstractContextManager[RaySession]:
    """Ray, or no machines at all where nothing is left that would run on them."""
    unfinished = [record for record in ledger.records.values() if not record.finished]
    to_run = not _all_ended(spec, ledger) or unfinished or ledger.damaged
    if not (to_run or unmeasured(ledger) or hunt.waits()):
        return nullcontext(RaySession([], None))
    return ray_for(folder, spec.tracking.ray_dashboard)


def _fit(
    spec: Spec,
    folder: SearchFolder,
    ledger: Ledger,
    session: RaySession,
    budget: Budget,
    hunt: Hunt,
    display: Display,
) -> None:
    """Run what is left of the trials; where one is a candidate, they wait until it is decided."""
    own = own_modules(spec)
    watched = Watch(own, display.say, folder.command("resume")) if own else nullcontext
    while hunt.found is None:
        fit(spec, folder, ledger, session, budget, watched)
        if budget.used_up or not hunt.waits():
            return
        with suppress(OverError), RayPool(spec.resources, session.machines) as pool:
            hunt.try_next(spec.resources, pool, lambda: bool(budget.used_up), display.certifying)


def _all_ended(spec: Spec, ledger: Ledger) -> bool:
    return sum(record.finished for record in ledger.records.values()) >= spec.search.trials


def _publish_best(spec: Spec, folder: SearchFolder) -> str | None:
    """Export the best trial and log it as a model; one line if MLflow could not take it."""
    from search.recording.logged_model import publish  # matplotlib is no part of a search's start
    from search.results.export import export_best

    try:
        publish(spec, folder, export_best(folder, spec))
    except UserError as error:
        return f"{error}; `{folder.command('export')} --register MODEL` logs the model later"
    return None
