"""``qmc``: a scrambled Sobol sequence, over choices and conditional parameters too.

Optuna's own spreads the numbers that all trials have, and draws everything else at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

MOST_PARAMETERS = 64


class QuasiRandomSampler(BaseSampler):
    """Trial ``n`` takes the ``n``-th point; the ``k``-th parameter it asks for, coordinate ``k``.

    A space is a program that draws its parameters one after the other, so the points cover its
    draws more evenly than chance (Sobol 1967; scrambled by Owen 1998). Coordinates beyond the
    sequence's are random. Nothing depends on other trials.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._at = -1
        self._point = np.zeros(0)
        self._random = np.random.default_rng(seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing is drawn together."""
        return {}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The next coordinate of the trial's point, as a value of the parameter."""
        if trial.number != self._at:
            self._go_to(trial.number)
        place = len(trial.params)
        here = self._point[place] if place < MOST_PARAMETERS else self._random.random()
        return _value(param_distribution, float(here))

    def _go_to(self, number: int) -> None:
        from scipy.stats import qmc  # takes long to import, and few searches ask

        sequence = qmc.Sobol(MOST_PARAMETERS, scramble=True, rng=np.random.default_rng(self._seed))
        if number:
            sequence.fast_forward(number)
        self._at, self._point = number, sequence.random(1)[0]
        self._random = np.random.default_rng([self._seed, number])


def _value(offered: BaseDistribution, share: float) -> Any:
    """The value below which ``share`` of an even draw lies; in the logarithm if so asked."""
    if isinstance(offered, CategoricalDistribution):
        return offered.choices[min(int(share * len(offered.choices)), len(offered.choices) - 1)]
    assert isinstance(offered, FloatDistribution | IntDistribution)
    low, high, step = offered.low, offered.high, offered.step
    if step is not None:  # each value has as wide a part of the range
        low, high = low - step / 2, high + step / 2
    if offered.log:
        found = float(np.exp(np.log(low) + share * (np.log(high) - np.log(low))))
    else:
        found = low + share * (high - low)
    if step is not None:
        found = offered.low + round((found - offered.low) / step) * step
    found = min(max(found, offered.low), offered.high)
    return int(found) if isinstance(offered, IntDistribution) else found
