"""Which trials go on: the schedulers, by their names in a spec.

To add one, write a `ray.tune.schedulers.TrialScheduler`, give it a line in `SCHEDULERS`, and add
its name to `search.spec.sections.SCHEDULERS`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.disk.record import Record
from search.proposing.constraints import Constraints
from search.proposing.draws import DRAWS, draw
from search.scheduling.asha import Bracket, Hyperband, StoppingRule, SuccessiveHalving
from search.spec import Spec
from spaces import Space
from trainables.config import TrialConfig
from trainables.measure.ladder import expected_progress
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.report import progress_by_row
from trainables.models.model import outline
from trainables.tasks import make_task
from trainables.tasks.task import Task

COSTS = {"gflop": "training_gflop", "seconds": "seconds"}
"""By its name in a spec, what a report, and a row of one, calls the cost."""

VALUE = "expected_progress"
REDUCTION_FACTOR = 4
GRACE_FRACTION = 0.1
"""First comparison: the cost of one member spending this part of its budget on the first rung."""

SHORTEST = 2.0**-6
"""Seconds at the first of the milestones by seconds, before which grace ends for hardly any."""

MILESTONES = 13
OTHERS = 5
"""How many trials the median is of, at least."""


def make_scheduler(spec: Spec, space: Space, finished: Iterable[Record]) -> TrialScheduler:
    """The spec's scheduler; it knows the trials that finished before a resume."""
    return SCHEDULERS[spec.search.scheduler](spec, space, finished)


def _stopping(spec: Spec, space: Space, finished: Iterable[Record]) -> TrialScheduler:
    """By a rule that compares trials where they have cost as much.

    They are compared by the progress to be expected: members still to come do as those that came.
    A trial that is stopped keeps its reach as a lower bound; it is told to Optuna as complete.
    """
    kind, sequences = spec.search.scheduler, spec.ladder.sequences
    if spec.search.scheduler_cost == "seconds":
        scheduler = by_seconds(kind, sequences)
    else:
        scheduler = by_gflop(kind, math.ceil(typical_cost(spec, space)))
    for record in finished:
        for result in _as_reported(record, spec.ladder):
            scheduler.compare(record.number, result)
    return scheduler


def by_gflop(kind: str, first: float) -> SuccessiveHalving:
    """Trials are compared where they have done as many operations, the ``first`` time in GFLOP."""
    return SuccessiveHalving(RULES[kind](first), COSTS["gflop"], VALUE)


def by_seconds(kind: str, sequences: int) -> SuccessiveHalving:
    """Trials are compared where they have taken as long.

    Milestones are the same whatever is searched, for how long a trial takes is not known before;
    its grace ends by what it has trained on, of a member's budget of ``sequences`` on a rung.
    """
    grace = GRACE_FRACTION * sequences
    return SuccessiveHalving(RULES[kind](SHORTEST), COSTS["seconds"], VALUE, grace)


def _as_reported(record: Record, ladder: LadderConfig) -> Iterator[dict[str, float]]:
    """What was reported of a trial after each of its rows."""
    rows, keys = record.rows, (*COSTS.values(), "sequences")
    spent = [accumulate([getattr(row, key) for row in rows]) for key in keys]
    values = progress_by_row(rows, record.report.reaches, ladder, expected_progress)
    for each in zip(*spent, values, strict=True):
        yield dict(zip((*keys, VALUE), each, strict=True))


def _none(spec: Spec, space: Space, finished: Iterable[Record]) -> TrialScheduler:
    """Every trial climbs until it fails."""
    return FIFOScheduler()


RULES: dict[str, Callable[[float], StoppingRule]] = {
    "asha": lambda first: Bracket(first, REDUCTION_FACTOR, MILESTONES),
    "hyperband": lambda first: Hyperband(first, REDUCTION_FACTOR, MILESTONES),
    "median": lambda first: Bracket(first, 2, 2 * MILESTONES, OTHERS),
}
"""From the cost of the first comparison, in GFLOP, to who may go on."""

SCHEDULERS: dict[str, Callable[[Spec, Space, Iterable[Record]], TrialScheduler]] = {
    **dict.fromkeys(RULES, _stopping),
    "none": _none,
}


def typical_cost(spec: Spec, space: Space, draws: int = 32) -> float:
    """Median over the space of `GRACE_FRACTION` of one member's budget on the first rung, GFLOP.

    What the constraints refuse does not count, unless that is all.
    """
    task = next(iter(make_task(t) for t in spec.tasks))
    constraints = Constraints(spec)
    drawn = draw(space, DRAWS if constraints.limits else draws)
    kept = [config for config in drawn if not constraints.exceeded(config)] or drawn
    costs = sorted(_cost(config, task, spec.ladder) for config in kept[:draws])
    return GRACE_FRACTION * statistics.median(costs)


def _cost(config: TrialConfig, task: Task, ladder: LadderConfig) -> float:
    model = outline(config.model, task)
    return 3e-9 * ladder.sequences * model.flops(task.length(ladder.start), 1)
