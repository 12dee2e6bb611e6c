"""What a sampler sees of a long study, so that a proposal costs the same however long it grows."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

MOST_TRIALS = 1000
BEST_TRIALS = 100
"""TPE models at most 25 of the best trials; all others together are its picture of the rest."""

MISSING = "no rung passed"
"""Optuna's name for what a trial breaks that counts in no aim but progress."""


@dataclass(frozen=True)
class Annotations:
    """What people who look at a study are told of a trial that has ended.

    Attributes:
        attributes: Optuna's user attributes
        by_lag: its intermediate values
        missing: where there are several aims, how far it is from counting in any but the first; 0
            if it counts
    """

    attributes: Mapping[str, Any]
    by_lag: Mapping[int, float]
    missing: float | None = None


class BoundedStorage(JournalStorage):
    """A storage that shows the best trials, the latest, and all that have not ended.

    They are picked once a proposal: TPE asks for them again for every group of parameters. Trials
    that have ended never change, so those before the first one that has not are picked from once.
    """

    _everything = False
    _picked: list[FrozenTrial] | None = None
    _ended = 0
    _best: tuple[FrozenTrial, ...] = ()

    @contextmanager
    def showing_all(self) -> Iterator[None]:
        """Show every trial for the length of the block."""
        before, self._everything = self._everything, True
        try:
            yield
        finally:
            self._everything = before

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._picked = None
        return super().create_new_trial(study_id, template_trial)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        self._picked = None
        return super().set_trial_state_values(trial_id, state, values)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Those that are shown, in the order of their numbers."""
        if self._everything:
            return super().get_all_trials(study_id, deepcopy, states)
        if self._picked is None:
            self._picked = self._informative(super().get_all_trials(study_id, deepcopy=False))
        shown = [trial for trial in self._picked if states is None or trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown

    def _informative(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        if len(trials) <= MOST_TRIALS:
            return trials
        under_way = (t.number for t in trials[self._ended :] if not t.state.is_finished())
        ended = next(under_way, len(trials))
        self._best = tuple(best_of([*self._best, *trials[self._ended : ended]]))
        self._ended = ended
        best = best_of([*self._best, *trials[ended:]])
        latest = trials[-(MOST_TRIALS - BEST_TRIALS) :]
        unfinished = [trial for trial in trials[ended:] if not trial.state.is_finished()]
        shown = {trial.number: trial for trial in [*best, *unfinished, *latest]}
        return [shown[number] for number in sorted(shown)]


class BoundedStudy(optuna.Study):
    """A study on such a storage: its sampler is shown a part of it, everybody else all."""

    def __init__(self, name: str, storage: BoundedStorage) -> None:
        super().__init__(name, storage)
        self._bounded = storage

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All of them."""
        with self.showing_all():
            return super().get_trials(deepcopy, states)

    def note(self, number: int, annotations: Annotations) -> None:
        """Put beside a trial that is under way what is for people to see, and what it lacks."""
        study_id = self._bounded.get_study_id_from_name(self.study_name)
        trial_id = self._bounded.get_trial_id_from_study_id_trial_number(study_id, number)
        for key, value in annotations.attributes.items():
            self._bounded.set_trial_user_attr(trial_id, key, value)
        for lag, value in annotations.by_lag.items():
            self._bounded.set_trial_intermediate_value(trial_id, lag, value)
        if annotations.missing is not None:
            optuna.Trial(self, trial_id).set_constraint(MISSING, annotations.missing)

    def showing_all(self) -> AbstractContextManager[None]:
        """Let the sampler see every trial for the length of the block."""
        return self._bounded.showing_all()


def best_of(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The best of the trials that have a value, by the first of several, the best first."""
    valued = (trial for trial in trials if trial.values)
    return heapq.nlargest(BEST_TRIALS, valued, key=lambda trial: (trial.values[0], -trial.number))
