"""Why a trial lost its worker; the searcher is told, and hands the trial out again.

Tune's own retries are not used: they count a node that vanished as the trial's failure, end a trial
at once whose worker dies while it is being prepared, and cannot start one with other resources.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeGuard

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError
from ray.tune import Callback

from trainables.training.rung import out_of_memory

WORKER_FAILURES = 2
"""How often a trial whose worker died is started again; the third death ends it by ``error``."""

LOSSES = 100
"""How often a trial is started again in all, for whatever reason."""

NODE_LOST = "node has died"
"""In Ray's message where the actor went with its whole node; a drained node is told apart by it."""

NO_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""What a disk that takes nothing more answers."""

Loss = Literal["node", "memory", "worker"]
"""Why a trial's worker was lost: its node went, a shared device's memory ran out, or it died."""


def disk_failed(error: BaseException | None) -> TypeGuard[OSError]:
    """Whether a disk is full or broken: no fault of a trial's, and no trial can go on."""
    return isinstance(error, OSError) and error.errno in NO_DISK


def why(error: BaseException | None) -> Loss:
    """What took a trial's worker; what is not known counts as a worker that died."""
    error = _cause(error)
    if isinstance(error, ActorUnavailableError):
        return "node"  # nobody answers there, and nobody has said that the worker died
    if isinstance(error, RayActorError):
        return "node" if error.preempted or NODE_LOST in str(error) else "worker"
    return "memory" if error is not None and out_of_memory(error) else "worker"


class Retries(Callback):
    """Tells ``lost`` of each trial that Tune gave up, and the scheduler its next id."""

    def __init__(
        self, lost: Callable[[str, Loss], None], renamed: Callable[[str, str], None]
    ) -> None:
        self._lost, self._renamed = lost, renamed
        self._ids: dict[int, str] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial starts, perhaps again: what the scheduler knows of it goes with it."""
        number = trial.config["number"]
        if self._ids.setdefault(number, trial.trial_id) != trial.trial_id:
            self._renamed(self._ids[number], trial.trial_id)
        self._ids[number] = trial.trial_id

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's worker is gone.

        Raises:
            OSError: if a disk took nothing more; the search ends, to be resumed.
        """
        error = _cause(_error(trial))
        if disk_failed(error):
            raise error
        self._lost(trial.trial_id, why(error))


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
