"""Where a trial that lost its worker is handed out again, or ended.

A node that went, a shared device that ran out of memory and a worker that died are told apart: only
the last is held against the trial. How often is kept in the ledger, so that a trial that kills its
workers kills no more of them after a resume.

Tune's own retries are not used: they count a node that vanished as the trial's failure, end a trial
at once whose worker dies while it is being prepared, and cannot start one with other resources.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, Literal, Protocol, TypeGuard

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError
from ray.tune import Callback

from search.disk.record import Record
from trainables.training.memory import out_of_memory

MOST_DEATHS = 2
"""How often a trial whose worker died is started again; the third death ends it by ``error``."""

MOST_LOSSES = 100
"""How often a trial is started again in all, for whatever reason."""

NODE_LOST = "node has died"
"""In Ray's message where the actor went with its whole node; a drained node is told apart by it."""

NO_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""What a disk that takes nothing more answers."""

WorkerLostTo = Literal["node", "memory", "death"]
"""Its node went, the memory of a device that it shared ran out, or it died by itself."""


class Searcher(Protocol):
    """What hands trials out (`search.proposing.searcher.StudySearch`)."""

    def is_under_way(self, trial_id: str) -> bool:
        """Whether a trial was handed out and has not ended."""

    def hand_out_again(self, trial_id: str, alone: bool) -> None:
        """Hand a trial out once more; ``alone``, on a device that it shares with none."""

    def end(self, trial_id: str, ended_by: str, error: str | None) -> None:
        """Keep how a trial ended."""


class Losses(Protocol):
    """Where it is counted (`search.disk.ledger.Ledger`)."""

    def lost_its_worker(self, number: int, died: bool) -> Record:
        """Count a worker of a trial that was lost; the trial's record."""


class Retries(Callback):
    """Decides what becomes of each trial that Tune gave up."""

    def __init__(self, searcher: Searcher, ledger: Losses) -> None:
        self._searcher, self._ledger = searcher, ledger

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's worker is gone.

        Raises:
            OSError: if a disk took nothing more; the search ends, to be resumed.
        """
        error = _cause(_error(trial))
        if disk_failed(error):
            raise error
        self.decide(trial.trial_id, trial.config["number"], worker_lost_to(error))

    def decide(self, trial_id: str, number: int, lost_to: WorkerLostTo) -> None:
        """Hand the trial out again, unless it has ended, or lost too many workers."""
        if not self._searcher.is_under_way(trial_id):  # the worker died while it was being stopped
            return
        record = self._ledger.lost_its_worker(number, died=lost_to == "death")
        if record.losses > MOST_LOSSES:
            self._searcher.end(trial_id, "error", f"its worker was lost {record.losses} times")
        elif record.deaths > MOST_DEATHS:
            self._searcher.end(trial_id, "error", f"its worker died {record.deaths} times")
        else:
            self._searcher.hand_out_again(trial_id, alone=lost_to == "memory")

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for `Tuner.restore`, which is not how a search resumes."""
        return {}


def disk_failed(error: BaseException | None) -> TypeGuard[OSError]:
    """Whether a disk is full or broken: no fault of a trial's, and no trial can go on."""
    return isinstance(error, OSError) and error.errno in NO_DISK


def worker_lost_to(error: BaseException | None) -> WorkerLostTo:
    """What took a trial's worker; what is not known counts as a death."""
    error = _cause(error)
    if isinstance(error, ActorUnavailableError):
        return "node"  # nobody answers there, and nobody has said that the worker died
    if isinstance(error, RayActorError):
        return "node" if error.preempted or NODE_LOST in str(error) else "death"
    return "memory" if error is not None and out_of_memory(error) else "death"


def _error(trial: Any) -> BaseException | None:
    """What Tune has just written down for itself."""
    path = trial.pickled_error_file
    if path is None or not Path(path).exists():
        return None
    error: BaseException = ray.cloudpickle.loads(Path(path).read_bytes())
    return error


def _cause(error: BaseException | None) -> BaseException | None:
    """What was raised in the trial itself."""
    return error.cause if isinstance(error, RayTaskError) else error
