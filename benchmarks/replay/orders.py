"""One search by its name, in one order of a task's trials."""

from __future__ import annotations

import functools
import math
from pathlib import Path

from benchmarks.replay.playing import Aim, Played, first_rung_then, play, promoted, scheduler_of
from benchmarks.replay.proposers import Asked, Blind, Families, Proposer, Table
from benchmarks.replay.table import read_table
from benchmarks.replay.tasks import MEASURED
from benchmarks.replay.trials import POLICIES, Trial, trials_of
from search.scheduling.scheduler import typical_cost
from spaces import SPACES

BLIND = {"random": Blind, "families": Families}


@functools.cache
def known(path: Path, task: str, earlier: bool, by_progress: bool) -> Table:
    """A task's trials, once in a process."""
    return Table(trials_of(read_table(path), task, earlier, by_progress))


def in_order(of: tuple[Path, str, bool, bool], name: str, most: int, order: int) -> Played:
    """One order of one search of a task's trials."""
    table = known(*of)
    aim = Aim.of(table.trials)
    return played(name, table.trials, table, aim, first_milestone(of[1]), order, most)


@functools.cache
def first_milestone(task: str) -> int:
    """Where a search of the task would first compare trials, in GFLOP."""
    spec = MEASURED[task].spec(task)
    return math.ceil(typical_cost(spec, SPACES[spec.space]))


def played(
    name: str, trials: list[Trial], table: Table, aim: Aim, first: float, order: int, most: int
) -> Played:
    """One order of one search."""
    sampler, scheduler, policy = name.split("+")
    proposer: Proposer = (
        BLIND[sampler](trials, order) if sampler in BLIND else Asked(sampler, table, order)
    )
    if scheduler.startswith("first"):
        kept = int(scheduler.removeprefix("first"))
        return first_rung_then(proposer, kept, aim, most)
    if scheduler.startswith("promote"):
        factor = int(scheduler.removeprefix("promote"))
        return promoted(proposer, POLICIES[policy], factor, aim, most)
    compared = scheduler_of(scheduler, first, trials[0].ladder.sequences)
    return play(proposer, POLICIES[policy], compared, aim, most)
