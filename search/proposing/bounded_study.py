"""What a sampler sees of a long study, so that a proposal costs the same however long it grows."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Container

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

MOST_TRIALS = 1000
BEST_TRIALS = 100
"""TPE models at most 25 of the best trials; all others together are its picture of the rest."""


class BoundedStudy(optuna.Study):
    """A study that shows its sampler the best trials, the latest, and all that are under way.

    They are picked once a proposal: TPE asks for them again for every group of parameters. Trials
    that have ended never change, so those before the first one under way are picked from once.
    """

    def __init__(self, study_name: str, storage: optuna.storages.BaseStorage) -> None:
        super().__init__(study_name, storage)
        self._shown: list[FrozenTrial] | None = None
        self._ended = 0
        self._best: list[FrozenTrial] = []

    def ask(self, fixed_distributions: dict[str, BaseDistribution] | None = None) -> optuna.Trial:
        """A new trial, proposed from what is known now."""
        self._shown = None
        return super().ask(fixed_distributions)

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
        if self._shown is None:
            self._shown = self._informative(super()._get_trials(deepcopy=False))
        shown = [trial for trial in self._shown if states is None or trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown

    def _informative(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        if len(trials) <= MOST_TRIALS:
            return trials
        under_way = (t.number for t in trials[self._ended :] if not t.state.is_finished())
        ended = next(under_way, len(trials))
        self._best = _best([*self._best, *trials[self._ended : ended]])
        self._ended = ended
        best = _best([*self._best, *trials[ended:]])
        latest = trials[-(MOST_TRIALS - BEST_TRIALS) :]
        running = [t for t in trials[ended:] if t.state == TrialState.RUNNING]
        shown = {trial.number: trial for trial in [*best, *running, *latest]}
        return [shown[number] for number in sorted(shown)]


def _best(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    valued = (trial for trial in trials if trial.values and len(trial.values) == 1)
    return heapq.nlargest(BEST_TRIALS, valued, key=lambda trial: (trial.value, -trial.number))
