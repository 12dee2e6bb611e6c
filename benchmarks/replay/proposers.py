"""Who is tried next, of the trials in the table.

A blind order is a permutation of the table. A sampler of Optuna's proposes anything that the space
holds, and the table holds only some: what is played is the row nearest to the proposal of those not
played yet, and the sampler is told of that row, never of its own proposal. So all that it learns is
true, and what the table lacks weakens it towards chance, never the other way. What the sampler
noted of its proposal, such as a generation, goes with the row.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FixedTrial, TrialState, create_trial

from benchmarks.replay.tasks import SPACE
from benchmarks.replay.trials import Trial
from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler
from spaces import SPACES


class Proposer(ABC):
    """Hands out the trials of the table, one after the other."""

    @abstractmethod
    def next(self) -> Trial | None:
        """The next trial; None when all were handed out."""

    @abstractmethod
    def told(self, trial: Trial, value: float) -> None:
        """Hear what came of a trial."""


class Blind(Proposer):
    """The trials in an order drawn at random."""

    def __init__(self, trials: Sequence[Trial], order: int) -> None:
        drawn = np.random.default_rng(order).permutation(len(trials))
        self._left = [trials[k] for k in drawn]

    def next(self) -> Trial | None:
        return self._left.pop(0) if self._left else None

    def told(self, trial: Trial, value: float) -> None:
        """It does not listen."""


class Families(Proposer):
    """A bandit over the kinds of cells, by Thompson sampling; within a kind, a blind order.

    A trial speaks for its kind where its value is among the best `BEST` of all so far, and against
    it where it is not: the best is looked for, not the best on average (Streeter & Smith 2006).
    """

    BEST = 8

    def __init__(self, trials: Sequence[Trial], order: int) -> None:
        self._random = np.random.default_rng(order)
        self._left: dict[str, list[Trial]] = {}
        for k in self._random.permutation(len(trials)):
            self._left.setdefault(_family(trials[k]), []).append(trials[k])
        self._seen: list[tuple[float, str]] = []

    def next(self) -> Trial | None:
        there = [family for family, left in self._left.items() if left]
        if not there:
            return None
        lines = sorted((value for value, _ in self._seen), reverse=True)
        line = lines[self.BEST - 1] if len(lines) >= self.BEST else -np.inf
        drawn = []
        for family in there:
            values = [value for value, of in self._seen if of == family]
            good = sum(value >= line for value in values)
            drawn.append(self._random.beta(1 + good, 1 + len(values) - good))
        return self._left[there[int(np.argmax(drawn))]].pop()

    def told(self, trial: Trial, value: float) -> None:
        """Remember it for its kind."""
        self._seen.append((value, _family(trial)))


def _family(trial: Trial) -> str:
    return str(trial.parameters["model/cell/kind"])


class Table:
    """The table's parameters as numbers, for distances."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = list(trials)
        self.distributions = [_offered(trial.parameters) for trial in trials]
        names = sorted({name for trial in trials for name in trial.parameters})
        self._columns = {name: k for k, name in enumerate(names)}
        self._codes: dict[tuple[str, Any], float] = {}
        self.rows = np.array([self.encoded(trial.parameters) for trial in trials])

    def encoded(self, parameters: Mapping[str, Any]) -> np.ndarray:
        """-1 where a parameter is not there; a whole number for a choice."""
        row = np.full(len(self._columns), -1.0)
        for name, value in parameters.items():
            if name == "training/learning_rate":
                row[self._columns[name]] = np.log10(value)
            elif name in self._columns:
                key = (name, repr(value))
                row[self._columns[name]] = self._codes.setdefault(key, float(len(self._codes)))
        return row

    def distances(self, parameters: Mapping[str, Any]) -> np.ndarray:
        """Parameters in which each row differs; the learning rate by decades, at most one."""
        asked = self.encoded(parameters)
        apart = (self.rows != asked).astype(float)
        if "training/learning_rate" in self._columns:
            rate = self._columns["training/learning_rate"]
            apart[:, rate] = np.minimum(1, abs(self.rows[:, rate] - asked[rate]))
        return apart.sum(axis=1)


class Asked(Proposer):
    """A sampler of Optuna's by its name in a spec, held to the table.

    Attributes:
        apart: how many parameters each row that was played differed in from its proposal
    """

    def __init__(self, kind: str, table: Table, order: int) -> None:
        self._kind, self._table, self._order = kind, table, order
        self._study = new_study()
        self._left = np.ones(len(table.trials), dtype=bool)
        self.apart: list[float] = []
        self._played = 0

    def next(self) -> Trial | None:
        if not self._left.any():
            return None
        self._study.sampler = make_sampler(self._kind, self._order, self._played)
        asked = self._study.ask()
        SPACES[SPACE](asked)
        self._notes = self._study.tell(asked, state=TrialState.FAIL).system_attrs
        distances = np.where(self._left, self._table.distances(asked.params), np.inf)
        nearest = int(distances.argmin())
        self._left[nearest] = False
        self._played += 1
        self.apart.append(float(distances[nearest]))
        self._at = nearest
        return self._table.trials[nearest]

    def told(self, trial: Trial, value: float) -> None:
        self._study.add_trial(
            create_trial(
                value=value,
                params=dict(trial.parameters),
                distributions=self._table.distributions[self._at],
                system_attrs=self._notes,
            )
        )


class _AsThen(FixedTrial):
    """A trial of the table; of what its space did not offer yet it had the first choice."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        super().__init__(dict(parameters))
        self._known = parameters

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        known = name in self._known
        return super().suggest_categorical(name, choices) if known else choices[0]


def _offered(parameters: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    trial = _AsThen(parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SPACES[SPACE](trial)  # type: ignore[arg-type]  # a stand-in of a trial
    return trial.distributions
