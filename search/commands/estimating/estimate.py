"""What a search may cost: at most and likely, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd
import torch

from search.commands.estimating.as_in_a_worker import as_in_a_worker
from search.commands.estimating.costs import Drawn, drawn, shares
from search.commands.estimating.timing import (
    Rate,
    Seconds,
    added,
    by_kind,
    by_training,
    measure,
    memory_at_the_top,
    seconds_of,
)
from search.results.review.importance import explained, grouped
from search.scheduling.machines import Machine, slots
from search.scheduling.preparation import memory_of
from search.spec import Spec
from search.spec.spaces import find_space
from trainables.tasks.task import Task

LEAST_EXPLAINED = 0.05
CHOICES_SHOWN = 3


@dataclass(frozen=True)
class Choice:
    """A parameter that the cost depends on.

    Attributes:
        explained: epsilon squared, of `search.results.review.importance`
        times: what draws of a value, or of a range of values, cost by the median, as a multiple of
            the least; the dearest first
    """

    parameter: str
    explained: float
    times: Mapping[str, float]


@dataclass(frozen=True)
class Estimate:
    """What a search may cost.

    Attributes:
        side_by_side: trials
        gflop: training cost of all trials, at most
        seconds: wall time; None where nothing could be timed
        ends_early: whether looks may end before all of their sequences are shown
        tried: the rates that this rests on, by kind
        tried_share: the part of the cost that those kinds take
        memory_bytes: of the largest training step of whole sequences
        memory_of_a_trial: bytes
        by_lag: the part of the cost that each lag takes
        trained_out: the part that the rung takes on which members train until they are done
    """

    side_by_side: int
    gflop: float
    seconds: Seconds | None
    ends_early: bool
    tried: Mapping[str, Rate]
    tried_share: float
    memory_bytes: float
    memory_of_a_trial: float
    by_lag: Mapping[int, float]
    trained_out: float
    choices: Sequence[Choice]


def estimate(spec: Spec, tasks: Mapping[str, Task], machines: Sequence[Machine]) -> Estimate:
    """The estimate for a search on these machines, timed on this one."""
    draws = drawn(spec, tasks, find_space(spec))
    with as_in_a_worker(spec.resources) as device:
        memory = memory_of(spec.resources, device or torch.device("cpu"))
        rates = measure(draws, by_training(tasks, device, memory)) if device else {}
    needed = memory_at_the_top(draws, tasks)
    return summed(spec, draws, rates, slots(machines, spec.resources), needed, memory)


def summed(
    spec: Spec,
    draws: Sequence[Drawn],
    rates: Mapping[str, Rate],
    holds: int,
    memory_bytes: float,
    memory_of_a_trial: float,
) -> Estimate:
    """The estimate from its parts; ``holds`` is how many trials the machines do side by side."""
    trials = spec.search.trials
    side_by_side = min(holds, spec.search.concurrency or holds, trials)
    times = [seconds_of(draw, rates, spec.ladder.seconds) for draw in draws] if rates else None
    costs = [time.at_most for time in times] if times else [draw.gflop for draw in draws]
    gflop = {kind: sum(draw.gflop for draw in of_kind) for kind, of_kind in by_kind(draws).items()}
    total, by_lag = sum(gflop.values()), shares(draws)
    return Estimate(
        side_by_side=side_by_side,
        gflop=trials * total / len(draws),
        seconds=added(times).times(trials / side_by_side / len(times)) if times else None,
        ends_early=any(attempt.shown < 1 for draw in draws for attempt in draw.attempts),
        tried=rates,
        tried_share=sum(gflop[kind] for kind in rates) / total if total else 1.0,
        memory_bytes=memory_bytes,
        memory_of_a_trial=memory_of_a_trial,
        by_lag=by_lag,
        trained_out=sum(part for lag, part in by_lag.items() if spec.ladder.trains_out(lag)),
        choices=choices(draws, costs),
    )


def choices(draws: Sequence[Drawn], costs: Sequence[float]) -> list[Choice]:
    """What the cost of a draw depends on most."""
    table = pd.DataFrame([dict(draw.parameters) for draw in draws])
    found = []
    for name in table.columns:
        chosen = table[name].notna().to_numpy()
        values = pd.Series([str(v) if isinstance(v, list) else v for v in table[name][chosen]])
        spent = pd.Series(costs)[chosen].reset_index(drop=True)
        groups = grouped(values)
        part = explained(groups, spent.to_numpy(float))
        if part >= LEAST_EXPLAINED:
            found.append(Choice(name, part, _times(values, groups, spent)))
    return sorted(found, key=lambda one: -one.explained)[:CHOICES_SHOWN]


def _times(values: pd.Series, groups: Iterable[object], spent: pd.Series) -> dict[str, float]:
    parts = values.groupby(list(groups))
    middles = {_called(each): median(spent[each.index]) for _, each in parts}
    least = min(middles.values())
    dearest = sorted(middles.items(), key=lambda one: -one[1])
    return {name: cost / least for name, cost in dearest}


def _called(values: pd.Series) -> str:
    """A value, or the range of several."""
    if values.nunique() == 1:
        return str(values.iloc[0])
    return f"{values.min():.3g} to {values.max():.3g}"
