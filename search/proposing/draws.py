"""Configurations drawn from a space at random, without a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from search.proposing.samplers import make_sampler
from spaces import Space
from trainables.config import TrialConfig

DRAWS = 200
"""Random configurations that a space is judged by before its search starts."""


def draw(space: Space, count: int) -> list[TrialConfig]:
    """``count`` configurations, drawn at random but always the same."""
    study = optuna.create_study(sampler=make_sampler("random", 0, 0))
    drawn = []
    for _ in range(count):
        trial = study.ask()
        fixed = space(trial) or {}
        drawn.append(TrialConfig.model_validate(nested({**trial.params, **fixed})))
    return drawn


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A flat configuration, its keys paths, as a nested one."""
    found: dict[str, Any] = {}
    for path, value in flat.items():
        *above, last = path.split("/")
        inner = found
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return found
