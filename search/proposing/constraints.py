"""Constraints: how large a proposal may be, decided before anything is trained.

Sizes are counted on a model without numbers, at the ladder's top. A refused proposal is kept by the
ledger and is no trial of the search. In the study it is a pruned trial whose excess is an Optuna
constraint, which is what TPE learns from.
"""

from __future__ import annotations

import optuna
import torch
from optuna.trial import TrialState

from search.spec import Spec
from trainables.config import TrialConfig
from trainables.models.model import outline
from trainables.tasks import make_task

EXCESS = "excess"


class Constraints:
    """The constraints of a spec, with its tasks.

    Attributes:
        limits: what there is to keep, by key
    """

    def __init__(self, spec: Spec) -> None:
        self.limits = spec.constraints.limits
        if not self.limits:
            return
        lag = spec.ladder.stop
        self._tasks = []
        for config in spec.tasks:
            task = make_task(config)
            answers = task.sample(lag, 1, torch.Generator().manual_seed(0)).scored.shape[1]
            self._tasks.append((task, task.length(lag), answers))

    def sizes(self, config: TrialConfig) -> dict[str, float]:
        """What the constraints limit, by key: the most over the tasks."""
        sizes = dict.fromkeys(self.limits, 0.0)
        for task, length, answers in self._tasks if self.limits else ():
            model = outline(config.model, task)
            found = {
                "max_parameters": model.num_parameters,
                "max_state_bytes": model.state_bytes(length),
                "max_flops_per_step": model.flops(length, answers) / length,
            }
            sizes = {key: max(size, found[key]) for key, size in sizes.items()}
        return sizes

    def exceeded(self, config: TrialConfig) -> dict[str, float]:
        """By how much, as a part of the limit, a configuration exceeds each that it breaks."""
        return {
            key: size / self.limits[key] - 1
            for key, size in self.sizes(config).items()
            if size > self.limits[key]
        }


def refuse(study: optuna.Study, trial: optuna.Trial, excess: float) -> None:
    """Tell the study that a proposal breaks constraints, and by how much."""
    trial.set_constraint(EXCESS, excess)
    study.tell(trial, state=TrialState.PRUNED)
