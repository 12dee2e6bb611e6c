"""What a space makes of a trial, and configurations drawn from it at random without a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial

from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler
from spaces import Space
from trainables.config import TrialConfig

DRAWS = 200
"""Random configurations that a space is judged by before its search starts."""


def proposed(space: Space, trial: BaseTrial) -> dict[str, Any]:
    """The nested configuration that a space makes of a trial.

    Raises:
        ValueError: if the trial is a `FixedTrial` that lacks a parameter, or holds one that the
            space does not offer.
    """
    return nested(_chosen(space, trial))


def draw(space: Space, count: int) -> list[TrialConfig]:
    """``count`` configurations, drawn at random but always the same."""
    return [TrialConfig.model_validate(nested(flat)) for flat in flat_draws(space, count)]


def flat_draws(space: Space, count: int) -> list[dict[str, Any]]:
    """The same as the space gives them: each parameter by its path."""
    study = new_study(sampler=make_sampler("random", 0, 0))
    return [_chosen(space, study.ask()) for _ in range(count)]


def _chosen(space: Space, trial: BaseTrial) -> dict[str, Any]:
    fixed = space(trial) or {}  # type: ignore[arg-type]  # all trials suggest alike
    return {**trial.params, **fixed}


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
