"""Which failures count against a trial: a worker that died, not a node that was taken away."""

from __future__ import annotations

from typing import Any

from ray.exceptions import RayActorError
from ray.tune import Callback

NODE_LOST = "node has died"
"""In Ray's message where the actor went with its whole node; a drained node is told apart by it."""


class NodeLossIsNoFailure(Callback):
    """Takes back the failure that Tune counts for a trial whose node was lost.

    Tune itself leaves out only a preemption that was announced to the autoscaler; a spot machine
    that vanishes, or a raylet that is killed, it counts.
    """

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial is started again."""
        error = trial.get_pickled_error()
        if isinstance(error, RayActorError) and not error.preempted and NODE_LOST in str(error):
            trial.run_metadata.num_failures -= 1
