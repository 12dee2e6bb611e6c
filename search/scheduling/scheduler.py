"""Which trials go on: asynchronous successive halving on training cost.

ASHA (Li et al. 2020) compares trials once they have spent the same training cost, in GFLOP: the
best quarter goes on to four times that cost. A trial it stops keeps its reach as a lower bound,
since progress only rises; it is told to Optuna as complete.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from types import SimpleNamespace

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from search.disk.record import Record
from search.proposing.constraints import Constraints
from search.proposing.draws import DRAWS, draw
from search.proposing.samplers import METRIC
from search.spec import Spec
from spaces import Space
from trainables.config import TrialConfig
from trainables.measure.ladder_config import LadderConfig
from trainables.measure.records import MemberRung, cost_and_progress
from trainables.models.model import outline
from trainables.tasks import TASKS
from trainables.tasks.task import Task

COST = "training_gflop"
REDUCTION_FACTOR = 4
GRACE_FRACTION = 0.1
"""First comparison: the cost of one member spending this part of its budget on the first rung."""
MILESTONES = 12


def make_scheduler(spec: Spec, space: Space, finished: Iterable[Record]) -> TrialScheduler:
    """The spec's scheduler; it knows the trials that finished before a resume."""
    if spec.search.scheduler == "none":
        return FIFOScheduler()
    grace = math.ceil(typical_cost(spec, space))
    scheduler = AsyncHyperBandScheduler(
        time_attr=COST,
        metric=METRIC,
        mode="max",
        grace_period=grace,
        max_t=grace * REDUCTION_FACTOR**MILESTONES,
        reduction_factor=REDUCTION_FACTOR,
        stop_last_trials=False,
    )
    (bracket,) = scheduler._brackets
    for record in finished:
        rows = [MemberRung(**row) for row in record.rows]
        trial = SimpleNamespace(trial_id=f"finished-{record.number}")
        for cost, value in cost_and_progress(rows, record.report.get("reaches", {}), spec.ladder):
            bracket.on_result(trial, cost, value)  # type: ignore[arg-type]  # reads only the id
    return scheduler


def known_as(scheduler: TrialScheduler, old: str, new: str) -> None:
    """Hold what a trial showed under its old id against others under its new one, once only."""
    if isinstance(scheduler, AsyncHyperBandScheduler):
        for bracket in scheduler._brackets:
            for _, recorded in bracket._rungs:
                if old in recorded:
                    recorded[new] = recorded.pop(old)


def typical_cost(spec: Spec, space: Space, draws: int = 32) -> float:
    """Median over the space of `GRACE_FRACTION` of one member's budget on the first rung, GFLOP.

    What the constraints refuse does not count, unless that is all.
    """
    task = next(iter(TASKS[t.kind](t) for t in spec.tasks))
    constraints = Constraints(spec)
    drawn = draw(space, DRAWS if constraints.limits else draws)
    kept = [config for config in drawn if not constraints.broken(config)] or drawn
    costs = sorted(_cost(config, task, spec.ladder) for config in kept[:draws])
    return GRACE_FRACTION * statistics.median(costs)


def _cost(config: TrialConfig, task: Task, ladder: LadderConfig) -> float:
    model = outline(config.model, task)
    return 3e-9 * ladder.sequences * model.flops(task.length(ladder.start), 1)
