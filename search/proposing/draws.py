"""What a space makes of a trial, and configurations drawn from it at random without a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution
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
    return list(each_draw(space, count))


def each_draw(space: Space, count: int) -> Iterator[TrialConfig]:
    """The same, drawn when they are asked for."""
    return (TrialConfig.model_validate(nested(flat)) for flat in _each_flat(space, count))


def flat_draws(space: Space, count: int) -> list[dict[str, Any]]:
    """The same as the space gives them: each parameter by its path."""
    return list(_each_flat(space, count))


def _each_flat(space: Space, count: int) -> Iterator[dict[str, Any]]:
    study = new_study(sampler=make_sampler("random", 0, 0))
    return (_chosen(space, study.ask()) for _ in range(count))


def untried(space: Space, tried: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Of parameters that were chosen in any of the ``tried``, the choices that were in none.

    Kinds stand first; a parameter that is chosen from a range has no choices.
    """
    study = new_study(sampler=make_sampler("random", 0, 0))
    offered: dict[str, Sequence[Any]] = {}
    for _ in range(DRAWS):
        trial = study.ask()
        space(trial)
        for name, of_it in trial.distributions.items():
            if isinstance(of_it, CategoricalDistribution):
                offered[name] = of_it.choices
    found = {}
    for name in sorted(offered, key=lambda name: (not name.endswith("/kind"), name)):
        chosen = [parameters[name] for parameters in tried if name in parameters]
        left = [choice for choice in offered[name] if choice not in chosen]
        if chosen and left:
            found[name] = left
    return found


def _chosen(space: Space, trial: BaseTrial) -> dict[str, Any]:
    fixed = space(trial) or {}  # type: ignore[arg-type]  # all trials suggest alike
    if not isinstance(fixed, Mapping) or not all(isinstance(path, str) for path in fixed):
        raise TypeError(
            f"the space gives {repr(fixed)[:60]}; allowed: a mapping from paths to values, or None"
        )
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
