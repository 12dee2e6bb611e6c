"""A trial that suggests what it is given, where the space offers that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study, Trial
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from search.proposing.new_study import new_study
from search.proposing.study import contains


def answered(parameters: Mapping[str, Any]) -> Trial:
    """A trial, by itself, of these parameters; what they lack, or is not offered, is random."""
    return new_study(sampler=_Answering(parameters)).ask()


class _Answering(RandomSampler):
    """Suggests what it is given, where that is offered; else something at random."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        super().__init__(seed=0)
        self._parameters = parameters

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """One parameter's value."""
        value = self._parameters.get(param_name)
        if param_name in self._parameters and contains(param_distribution, value):
            return value
        return super().sample_independent(study, trial, param_name, param_distribution)
