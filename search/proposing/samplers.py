"""Samplers, by their names in a spec: Optuna's, a quasi-random one, and the user's own.

To add one, give it a line in `SAMPLERS` and its name to `search.spec.sections.Sampler`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)

from search.errors import UserError
from search.proposing.new_study import new_study
from search.proposing.quasi_random import QuasiRandomSampler
from search.spec import Spec
from search.spec.functions import function_named
from search.spec.trying import try_calls
from spaces import Space
from trainables.messages import named

METRIC = "progress"
"""What is maximised, before all else."""

POPULATION = 16
"""Of `nsga2`: its first generation is drawn at random, and a search may have 60 trials in all."""

PROPOSALS = 3
"""That a sampler of the user's own is tried by."""

NUMBERS_READ = 50
"""Random proposals that say what a space lets vary."""

SamplerOf = Callable[[int], BaseSampler]
"""From a trial's number to its sampler."""


def sampler_of(spec: Spec) -> SamplerOf:
    """The spec's sampler.

    One of the user's own may keep what it learns to itself: it is made once, when it is first asked
    for a trial, from a seed that follows from the search's and from that trial's number.

    Raises:
        UserError: in one line, if the user's own gives no sampler.
    """
    kind, seed = spec.search.sampler, spec.search.seed
    if ":" not in kind:
        return lambda number: make_sampler(kind, seed, number)
    make = function_named("search.sampler", kind, spec)
    made: list[BaseSampler] = []

    def own(number: int) -> BaseSampler:
        if not made:
            made.append(make(_drawn(seed, number)))
            if not isinstance(made[0], BaseSampler):
                raise UserError(
                    f"search.sampler: {kind!r} gave no sampler of Optuna's: {made[0]!r}"
                )
        return made[0]

    return own


def make_sampler(kind: str, seed: int, number: int) -> BaseSampler:
    """The sampler of one trial; its draws depend on the seed, the number and what was told."""
    return SAMPLERS[kind](seed, number)


def _random(seed: int, number: int) -> BaseSampler:
    return RandomSampler(seed=_drawn(seed, number))


def _tpe(seed: int, number: int) -> BaseSampler:
    # group: in a conditional space, parameters that go together are modelled together.
    with _experiments():
        return TPESampler(
            seed=_drawn(seed, number), multivariate=True, group=True, constant_liar=True
        )


def _gp(seed: int, number: int) -> BaseSampler:
    with _experiments():
        return GPSampler(
            seed=_drawn(seed, number),
            independent_sampler=_random(seed, number),
            warn_independent_sampling=False,
        )


def _nsga2(seed: int, number: int) -> BaseSampler:
    return NSGAIISampler(population_size=POPULATION, seed=_drawn(seed, number))


def _cmaes(seed: int, number: int) -> BaseSampler:
    return CmaEsSampler(seed=_drawn(seed, number), warn_independent_sampling=False)


def _qmc(seed: int, number: int) -> BaseSampler:
    return QuasiRandomSampler(seed)


SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {
    "tpe": _tpe,
    "gp": _gp,
    "nsga2": _nsga2,
    "qmc": _qmc,
    "cmaes": _cmaes,
    "random": _random,
}


def require_taken(spec: Spec, space: Space) -> None:
    """Refuse a sampler that cannot take the space, or that is none.

    Raises:
        UserError: in one line.
    """
    kind = spec.search.sampler
    if ":" in kind:
        try:
            try_calls(f"search.sampler: {kind!r}", _proposals(spec, space))
        except ValueError as error:
            raise UserError(str(error)) from None
        try:
            for _ in _proposals(spec, space):
                pass
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's own code raises
            raise UserError(f"search.sampler: {kind!r} proposes nothing: {named(error)}") from None
    if kind == "cmaes" and len(spec.search.objectives) > 1:
        raise UserError(
            "search.sampler: cmaes takes one objective; allowed with "
            f"{', '.join(spec.search.objectives)}: tpe, gp, nsga2, qmc, random, or module:function"
        )
    if kind == "cmaes":
        _require_numbers(spec, space)


def _proposals(spec: Spec, space: Space) -> Iterator[None]:
    """Some proposals of the user's own sampler, each told that it came to nothing."""
    sampler, aims = sampler_of(spec), len(spec.search.objectives)
    study = new_study(aims, sampler=sampler(0))
    for _ in range(PROPOSALS):
        trial = study.ask()
        space(trial)
        study.tell(trial, [0.0] * aims)
        yield


def _require_numbers(spec: Spec, space: Space) -> None:
    """CMA-ES moves a cloud of points: of the same numbers each time, and of no choices."""
    asked = []
    for number in range(NUMBERS_READ):
        trial = new_study(sampler=make_sampler("random", 0, number)).ask()
        space(trial)
        asked.append(trial.distributions)
    instead = "; allowed here: tpe, gp, nsga2, qmc, random, or module:function"
    refused = f"search.sampler: cmaes cannot take {spec.space!r}: "
    for name, offered in asked[0].items():
        if isinstance(offered, CategoricalDistribution):
            raise UserError(f"{refused}{name} is a choice and no number{instead}")
    for each in asked:
        for name in each.keys() ^ asked[0].keys():
            raise UserError(f"{refused}{name} is there for some proposals only{instead}")
    if len(asked[0]) < 2:
        raise UserError(f"{refused}it takes at least two numbers{instead}")


def _drawn(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint32)[0])


def _experiments() -> warnings.catch_warnings:
    """Without Optuna's word that what is used here may change."""
    return warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning)
