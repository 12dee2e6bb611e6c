"""Whether configurations that did well on other tasks are worth trying first.

    python -m benchmarks.replay.portfolio [--orders 300]

Of the table's tasks one is left out; the configurations of the highest mean progress on the others
are tried first on it, of equals the cheapest, then the rest in random order. Printed are the
medians over the orders, with and without them, of trials and GFLOP to the best of the table and to
within one rung of it.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.replay.table import read_table
from benchmarks.replay.tasks import MEASURED
from benchmarks.replay.trials import Trial, trials_of

SIZES = (0, 1, 2, 4, 8)
A_RUNG = 1.0
"""In progress, on ladders of ratio 2."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=300)
    asked = parser.parse_args()
    table = read_table()
    tasks = {name: {trial.number: trial for trial in trials_of(table, name)} for name in MEASURED}
    print("| left out | tried first | to the best: trials, GFLOP | to within a rung of it |")
    print("| --- | ---: | ---: | ---: |")
    for left_out, trials in tasks.items():
        others = [tasks[name] for name in MEASURED if name != left_out]
        ranked = sorted(trials, key=lambda number: worth(t[number] for t in others))
        for size in SIZES:
            first = [trials[number] for number in ranked[:size]]
            print(f"| {left_out} | {size} | {row(first, list(trials.values()), asked.orders)} |")


def worth(trials: Iterable[Trial]) -> tuple[float, float]:
    """Of a configuration on some tasks, the less the better: its progress, then its cost."""
    of_each = [(-trial.outcome, trial.gflop) for trial in trials]
    progress, cost = (sum(each) for each in zip(*of_each, strict=True))
    return round(progress, 9), cost


def row(first: Sequence[Trial], trials: Sequence[Trial], orders: int) -> str:
    """Trials and GFLOP to the best, and to within a rung of it; medians over the orders."""
    best = max(trial.outcome for trial in trials)
    cells = []
    for asked in (best, best - A_RUNG):
        found = [until(asked, order) for order in _orders(first, trials, orders)]
        count, gflop = (statistics.median(each) for each in zip(*found, strict=True))
        cells.append(f"{count:.0f}, {gflop:.0f}")
    return " | ".join(cells)


def _orders(first: Sequence[Trial], trials: Sequence[Trial], orders: int) -> Iterator[list[Trial]]:
    for seed in range(orders):
        rest = [trial for trial in trials if trial not in first]
        random.Random(seed).shuffle(rest)
        yield [*first, *rest]


def until(asked: float, order: Sequence[Trial]) -> tuple[int, float]:
    """Trials and GFLOP until one has the progress asked for."""
    gflop = 0.0
    for count, trial in enumerate(order, start=1):
        gflop += trial.gflop
        if trial.outcome >= asked - 1e-9:
            return count, gflop
    return len(order), math.inf


if __name__ == "__main__":
    main()
