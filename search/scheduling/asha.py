"""Asynchronous successive halving: who has gained too little for what was spent on it.

ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning") compares trials when
they have spent the same cost: at each of a row of milestones, the first time that a trial is seen
beyond it, the trial goes on if it is among the best part of those that came before it. Hyperband
(Li et al. 2018, JMLR 18) does so in several brackets, some of which begin to compare later. The
median rule (Golovin et al. 2017, "Google Vizier") asks that it be no worse than half of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from ray.tune.schedulers import FIFOScheduler, TrialScheduler


class StoppingRule(Protocol):
    """Who may go on; a trial goes by its number, however often it is started."""

    def goes_on(self, number: int, cost: float, value: float) -> bool:
        """Whether trial ``number``, which has come so far, may go on."""

    def patience(self, number: int) -> int:
        """How many times later than the first of all trials it is first compared."""


class Bracket:
    """Milestones of cost, and what each trial had reached at each of them.

    Args:
        first: the cost at the first milestone
        factor: between one milestone and the next; one trial in ``factor`` goes on
        milestones: how many there are
        others: how many a trial must find at a milestone to be compared there
    """

    def __init__(self, first: float, factor: int, milestones: int, others: int = 1) -> None:
        self._goes_on, self._others = 1 - 1 / factor, others
        self._costs = [first * factor**k for k in range(milestones)]
        self._values: list[dict[int, float]] = [{} for _ in self._costs]

    def goes_on(self, number: int, cost: float, value: float) -> bool:
        """Whether trial ``number``, which has come so far, may go on.

        It is compared at the highest milestone that it has passed, once, with all that were
        compared there before it.
        """
        passed = sum(milestone <= cost for milestone in self._costs)
        if not passed or number in self._values[passed - 1]:
            return True
        values = self._values[passed - 1]
        enough = len(values) < self._others or value >= self._cutoff(values)
        values[number] = value
        return enough

    def patience(self, number: int) -> int:
        """All trials are first compared at the first milestone."""
        return 1

    def _cutoff(self, values: dict[int, float]) -> float:
        return float(np.percentile(list(values.values()), 100 * self._goes_on))


class Hyperband:
    """Brackets that begin to compare the later, the fewer trials they are given.

    Of ``brackets`` s = 0, 1, ..., bracket s begins at ``first * factor**s``. It is given trials in
    proportion to ``factor**-s * brackets / (brackets - s)``, so that all cost about the same.
    """

    def __init__(self, first: float, factor: int, milestones: int, brackets: int = 3) -> None:
        self._brackets = [
            Bracket(first * factor**s, factor, milestones - s) for s in range(brackets)
        ]
        parts = [factor**-s * brackets / (brackets - s) for s in range(brackets)]
        self._ends = np.cumsum(parts) / sum(parts)
        self._factor = factor

    def goes_on(self, number: int, cost: float, value: float) -> bool:
        """Whether it may, by the rule of its own bracket."""
        return self._brackets[self.bracket_of(number)].goes_on(number, cost, value)

    def patience(self, number: int) -> int:
        """By its bracket."""
        return self._factor ** self.bracket_of(number)

    def bracket_of(self, number: int) -> int:
        """A trial's bracket: numbers are spread evenly, by the golden ratio."""
        place = (number + 0.5) * (math.sqrt(5) - 1) / 2 % 1
        return int(np.searchsorted(self._ends[:-1], place, side="right"))


class SuccessiveHalving(FIFOScheduler):
    """Tune's scheduler over such a rule; a trial goes by its number, however often it is started.

    Args:
        cost: the key of what a result has cost
        value: the key of what it is worth, the more the better
        grace: training sequences before which no trial is compared, whatever it has cost
    """

    def __init__(self, rule: StoppingRule, cost: str, value: str, grace: float = 0) -> None:
        super().__init__()
        self._rule, self._cost, self._value, self._grace = rule, cost, value, grace

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop the trial or let it go on."""
        goes_on = self.compare(trial.config["number"], result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Remember what a trial had reached when it ended."""
        self.compare(trial.config["number"], result)

    def compare(self, number: int, result: Mapping[str, Any]) -> bool:
        """Whether trial ``number``, of which this was reported, may go on."""
        if self._cost not in result or self._value not in result:  # it ended without a report
            return True
        if self._grace and result["sequences"] < self._grace * self._rule.patience(number):
            return True
        return self._rule.goes_on(number, result[self._cost], result[self._value])

    def debug_string(self) -> str:
        return "Asynchronous successive halving"
