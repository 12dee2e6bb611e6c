"""Plays samplers, schedulers and member policies against the table of real trials.

    python -m benchmarks.replay [--search SAMPLER+SCHEDULER+POLICY ...] [--orders 100] [--trials 60]
                                [--processes 1] [--earlier]

A sampler is `random` (a blind order of the table), `families` (a bandit over kinds of cells, blind
within a kind) or a name of a spec; a scheduler is a name of a spec, which compares trials by GFLOP,
or `NAME:seconds`; `firstK`, where the K best on the first rung go on; or `promoteK`, where trials
pause at every rung and one in K goes on; a policy is `breadth`, `race` or `one`.
Printed for each task: the median over orders of trials, GFLOP and processor seconds to the best
trial of the table, to one within a rung of it, to the first that certifies, and of the whole; 95 %
intervals by the bootstrap; how many orders found the best; and how many times less GFLOP, and
seconds, to the best than the first search of the list.
"""

from __future__ import annotations

import argparse
import functools
import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Shown

from benchmarks.replay.orders import in_order, known
from benchmarks.replay.playing import Aim, Until
from benchmarks.replay.table import TABLE
from benchmarks.replay.tasks import MEASURED

SEARCHES = (
    "tpe+asha+breadth",
    "tpe+none+breadth",
    "random+asha+breadth",
    "random+asha:seconds+breadth",
    "random+hyperband+breadth",
    "random+median+breadth",
    "random+none+breadth",
    "random+none+race",
    "random+none+one",
    "random+asha+race",
    "random+first8+breadth",
    "tpe+none+race",
)
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--search", nargs="+", default=SEARCHES)
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--tasks", nargs="+", default=list(MEASURED))
    parser.add_argument("--earlier", action="store_true", help="progress by whole sequences alone")
    parser.add_argument("--by-progress", action="store_true",
                        help="schedulers compare by progress: members to come are 0")  # fmt: skip
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    with ProcessPoolExecutor(given.processes, multiprocessing.get_context("spawn")) as pool:
        for task in given.tasks:
            show(task, given, pool)


def show(task: str, given: argparse.Namespace, pool: ProcessPoolExecutor) -> None:
    """One task's table."""
    of = (given.table, task, given.earlier, given.by_progress)
    trials = known(*of).trials
    aim = Aim.of(trials)
    best = sum(trial.outcome >= aim.best for trial in trials)
    near = sum(trial.outcome >= aim.near for trial in trials)
    print(f"\n{task}: {len(trials)} trials, {best} of them best (progress {aim.best:.2f}), "
          f"{near} within a rung")  # fmt: skip
    shown = Shown("search", "to the best", "found", "times less", "within a rung", "certified",
                  "whole", "CPU s")  # fmt: skip
    for column in shown.columns:
        column.no_wrap = True
    on_top = [trial for trial in trials if trial.reach >= trial.ladder.stop]
    certified = all(trial.certified is not None for trial in on_top)
    against: list[np.ndarray] | None = None
    for name in given.search:
        started = time.monotonic()
        one = functools.partial(in_order, of, name, given.trials)
        found = list(pool.map(one, range(given.orders)))
        costs = [np.array([each.best[k] for each in found]) for k in (1, 2)]
        against = costs if against is None else against
        shown.add_row(
            name,
            lines([each.best for each in found]),
            f"{np.isfinite(costs[0]).mean():.0%}",
            "\n".join(["", *map(ratio, against, costs)]),
            lines([each.near for each in found]),
            lines([each.certified for each in found]) if certified else "not measured",
            median([each.gflop for each in found]),
            median([each.seconds for each in found]),
        )
        print(f"  {name}: {time.monotonic() - started:.0f} s", flush=True)
    Console(width=150).print(shown)


def lines(values: list[Until]) -> str:
    """Trials, and below them GFLOP and seconds."""
    return "\n".join(median(each) for each in zip(*values, strict=True))


def median(values: object) -> str:
    """The median and its 95 % interval over resampled orders; `>` where half never got there."""
    drawn = np.asarray(values, dtype=float)
    random = np.random.default_rng(0)
    again = random.choice(drawn, (RESAMPLES, len(drawn)))
    low, high = np.quantile(np.median(again, axis=1), (0.025, 0.975), method="nearest")
    return f"{_short(np.median(drawn))} ({_short(low)}-{_short(high)})"


def ratio(before: np.ndarray, now: np.ndarray) -> str:
    """How many times less, of the medians, with its 95 % interval."""
    if not np.isfinite([np.median(before), np.median(now)]).all():
        return "-"
    random = np.random.default_rng(0)
    one, other = (
        np.median(random.choice(values, (RESAMPLES, len(values))), axis=1)
        for values in (before, now)
    )
    with np.errstate(invalid="ignore"):  # where half of a resample never got there
        drawn = np.nan_to_num(one / other, nan=1.0, posinf=np.inf)
    low, high = np.quantile(drawn, (0.025, 0.975), method="nearest")
    return f"{np.median(before) / np.median(now):.2f} ({low:.2f}-{high:.2f})"


def _short(value: float) -> str:
    return "never" if not math.isfinite(value) else f"{value:.0f}"


if __name__ == "__main__":
    main()
