"""Why a trial lost its worker, and what becomes of it: told to the searcher, which hands it out again.

Tune's own retries are not used: they count a node that vanished as the trial's failure, end a trial
at once whose worker dies while it is being prepared, and cannot start one with other resources.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from ray import cloudpickle
from ray.exceptions import RayActorError, RayTaskError
from ray.tune import Callback

from trainables.training.rung import out_of_memory

WORKER_FAILURES = 2
"""How often a trial whose worker died is started again; the third death ends it by ``error``."""

NODE_LOST = "node has died"
"""In Ray's message where the actor went with its whole node; a drained node is told apart by it."""

Loss = Literal["node", "memory", "worker"]
"""Why a trial's worker was lost: its node went, a shared device's memory ran out, or it died."""


def why(error: BaseException | None) -> Loss:
    """What took a trial's worker; what is not known counts as a worker that died."""
    if isinstance(error, RayTaskError):
        error = error.cause
    if isinstance(error, RayActorError):
        return "node" if error.preempted or NODE_LOST in str(error) else "worker"
    return "memory" if error is not None and out_of_memory(error) else "worker"


class Retries(Callback):
    """Tells ``lost`` why Tune gave up a trial, and ``known_as`` its old id and its new one."""

    def __init__(
        self, lost: Callable[[str, Loss], None], known_as: Callable[[str, str], None]
    ) -> None:
        self._lost, self._known_as = lost, known_as
        self._ids: dict[int, str] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial starts, perhaps again: what the scheduler knows of it goes with it."""
        number = trial.config["number"]
        if number in self._ids:
            self._known_as(self._ids[number], trial.trial_id)
        self._ids[number] = trial.trial_id

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's worker is gone."""
        self._lost(trial.trial_id, why(_error(trial)))


def _error(trial: Any) -> BaseException | None:
    """What Tune has just written down for itself."""
    path = trial.pickled_error_file
    if path is None or not Path(path).exists():
        return None
    error: BaseException = cloudpickle.loads(Path(path).read_bytes())
    return error
