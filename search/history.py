"""What a sampler sees of a long study, so that a proposal costs the same however long it grows."""

from __future__ import annotations

import heapq
from collections.abc import Container

import optuna
from optuna.trial import FrozenTrial, TrialState

MOST_TRIALS = 1000
BEST_TRIALS = 100
"""TPE models at most 25 of the best trials; all others together are its picture of the rest."""


class BoundedStudy(optuna.Study):
    """A study that shows its sampler the best trials, the latest, and all that are under way."""

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All of them, to anybody but a sampler."""
        return super()._get_trials(deepcopy, states)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        return trials if len(trials) <= MOST_TRIALS else _informative(trials)


def _informative(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    valued = (trial for trial in trials if trial.values and len(trial.values) == 1)
    best = heapq.nlargest(BEST_TRIALS, valued, key=lambda trial: (trial.value, -trial.number))
    seen = {trial.number for trial in [*best, *trials[-(MOST_TRIALS - BEST_TRIALS) :]]}
    return [t for t in trials if t.number in seen or t.state == TrialState.RUNNING]
