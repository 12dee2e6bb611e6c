"""Measures configurations for the table of real trials until it is stopped.

    nice -n 19 python -m benchmarks.replay.collect [--to FILE] [--until COUNT] [--processes 1]
                                                   [--certify [--tasks TASK ...]] [--elsewhere]

The random sampler draws from `everything` (`benchmarks.replay.tasks`). Every member climbs for
itself until it fails, whatever the others do, so that any rule of members can be played later. A
draw is added when all of its tasks and those of the draws before it are measured: the command may
be killed at any time, and goes on where it was. Seconds are of the processor, on one thread. With
`--certify` it measures, for the trials that stand on a ladder's top, as many fresh members as a
certificate asks for, instead of new draws. With `--elsewhere` it measures the first draws of the
table, so many as `--until` says, and those that a portfolio may take, on tasks which had no part
in the table, into `benchmarks/replay/elsewhere.parquet`.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks.replay.portfolio import by_number, candidates
from benchmarks.replay.table import ELSEWHERE_TABLE, TABLE, Table, read_table
from benchmarks.replay.tasks import ELSEWHERE, MEASURED, MEMBERS, SEED, SPACE, Measured
from benchmarks.replay.trials import FRESH, trials_of
from search.proposing.constraints import Constraints
from search.proposing.draws import nested, proposed
from search.proposing.new_study import new_study
from search.proposing.samplers import make_sampler
from spaces import SPACES
from trainables.config import TrialConfig
from trainables.description import describe
from trainables.measure.records import MemberRung
from trainables.models import kernels
from trainables.trial import TrialSpec, run_trial

Draw = tuple[int, dict[str, Any], TrialConfig]
"""Its number, what the space was asked for, and the configuration of it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=TABLE, help="the table")
    parser.add_argument("--until", type=int, default=100_000, help="configurations in the table")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--certify", action="store_true", help="fresh members of the best")
    parser.add_argument("--tasks", nargs="+", default=list(MEASURED), help="of those to certify")
    parser.add_argument("--elsewhere", action="store_true", help="known draws, on other tasks")
    given = parser.parse_args()
    table = read_table(given.to)
    start = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.processes, start, alone) as pool:
        if given.certify:
            certify(table, pool, given.tasks)
        elif given.elsewhere:
            elsewhere(table, read_table(ELSEWHERE_TABLE), pool, given.until)
        else:
            collect(table, pool, given.until, 2 * given.processes)


def alone() -> None:
    """Make a process ready: one thread, and the kernels built before anything is timed."""
    torch.set_num_threads(1)
    kernels.describe()


def collect(table: Table, pool: ProcessPoolExecutor, until: int, ahead: int) -> None:
    """Add draws, in their order, until there are so many; so many are under way or wait."""
    left = draws(table.last + 1)
    under_way: deque[tuple[Draw, Future[tuple[list[MemberRung], float]]]] = deque()
    for count in range(len({row["number"] for row in table.rows}) + 1, until + 1):
        missing = min(ahead, until + 1 - count) - len(under_way)
        for draw in itertools.islice(left, missing):
            under_way.append((draw, pool.submit(measure_all, MEASURED, draw[2])))
        (number, parameters, config), ended = under_way.popleft()
        rows, seconds = ended.result()
        table.add(number, parameters, rows)
        print(f"{count} ({number}): {describe(config.model_dump())}: {seconds:.1f} s", flush=True)


def certify(table: Table, pool: ProcessPoolExecutor, tasks: Sequence[str]) -> None:
    """Add the fresh members of each trial on top that has none."""
    found = []
    for name in tasks:
        for trial in trials_of(table, name):
            if trial.reach < MEASURED[name].ladder.stop or trial.certified is not None:
                continue
            config = TrialConfig.model_validate(nested(trial.parameters))
            ended = pool.submit(measure, name, MEASURED[name], config, MEMBERS + FRESH)
            found.append((name, trial, ended))
    for name, trial, ended in found:
        rows = [row for row in ended.result() if row.member >= MEMBERS]
        table.add(trial.number, trial.parameters, rows)
        print(f"{name}: fresh members of {trial.number}", flush=True)


def elsewhere(table: Table, to: Table, pool: ProcessPoolExecutor, first: int) -> None:
    """Add the draws that a portfolio may take, and so many of the first, that are not there yet."""
    tasks = by_number(table, MEASURED)
    known = next(iter(tasks.values()))
    wanted = dict.fromkeys([*candidates(tasks), *itertools.islice(known, first)])
    there = {row["number"] for row in to.rows}
    found = []
    for number in wanted:
        if number not in there:
            config = TrialConfig.model_validate(nested(known[number].parameters))
            found.append((number, pool.submit(measure_all, ELSEWHERE, config)))
    for number, ended in found:
        rows, seconds = ended.result()
        to.add(number, known[number].parameters, rows)
        print(f"{number}: {seconds:.1f} s", flush=True)


def draws(first: int) -> Iterator[Draw]:
    """The draws from a number on that the constraints let pass."""
    fits = Constraints(next(iter(MEASURED.values())).spec("table"))
    number = first
    while True:
        trial = new_study(sampler=make_sampler("random", SEED, number)).ask()
        config = TrialConfig.model_validate(proposed(SPACES[SPACE], trial))
        if not fits.exceeded(config):
            yield number, dict(trial.params), config
        number += 1


def measure_all(
    tasks: Mapping[str, Measured], config: TrialConfig
) -> tuple[list[MemberRung], float]:
    """A configuration on every task, and the seconds of the processor that it took."""
    started = time.process_time()
    rows = [row for name in tasks for row in measure(name, tasks[name], config)]
    return rows, time.process_time() - started


def measure(
    name: str, measured: Measured, config: TrialConfig, members: int = MEMBERS
) -> list[MemberRung]:
    """Every member's climb of one task; a row of ``error`` where the trial ended by one.

    That one member is asked for on each rung lets each climb for itself.
    """
    ladder = measured.ladder.model_copy(update={"members": members, "quorum": 1})
    spec = TrialSpec(config, {name: measured.task}, ladder, SEED, curve=False)
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = run_trial(
                spec, Path(folder), _silent, torch.device("cpu"), clock=time.process_time
            )
        except Exception as error:  # an outcome of the trial, as in a search
            print(f"{name}: {error}", flush=True)
            return [MemberRung(name, ladder.start, 0, "error")]  # type: ignore[arg-type]  # an end of trials
    return list(report.rows)


def _silent(report: Any, checkpoint: Path | None) -> None:
    """Nobody is told."""


if __name__ == "__main__":
    main()
