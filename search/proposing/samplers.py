"""Optuna's samplers, by their names in a spec."""

from __future__ import annotations

import warnings

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

METRIC = "progress"
"""What is maximised."""


def make_sampler(kind: str, seed: int, number: int) -> BaseSampler:
    """The sampler of one trial; its draws depend on the seed, the number and what was told."""
    drawn = np.random.SeedSequence([seed, number]).generate_state(1, np.uint32)
    if kind == "random":
        return RandomSampler(seed=int(drawn[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # group: in a conditional space, parameters that go together are modelled together.
        return TPESampler(seed=int(drawn[0]), multivariate=True, group=True, constant_liar=True)
