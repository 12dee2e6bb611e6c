"""Whether configurations that did well on other tasks are worth trying first.

    python -m benchmarks.replay.portfolio [--orders 300] [--against SEARCH] [--write]

Of the table's tasks one is left out; the configurations of the highest mean progress on the others
are tried first on it, of equals the cheapest, then the rest in random order: once as they are
ranked, and once each of another kind of cell. Then the same by all of its tasks, on those of
`benchmarks/replay/elsewhere.parquet`, which had no part in the choice. Printed are the medians over
the orders, with and without them, of trials and GFLOP to the best of the table and to within one
rung of it, and how many times less GFLOP than without, with a 95 % interval; or, on the table's
tasks, than a search that `benchmarks.replay` plays takes to the best within 60 trials. With
`--write` those of different kinds become the portfolio that searches start with.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.replay.__main__ import ratio
from benchmarks.replay.orders import in_order
from benchmarks.replay.table import ELSEWHERE_TABLE, TABLE, Table, read_table
from benchmarks.replay.tasks import ELSEWHERE, MEASURED
from benchmarks.replay.trials import Trial, trials_of
from trainables.files.whole_files import write_aside

SIZES = (2, 4, 8)
SHIPPED = Path(__file__).parents[2] / "spaces" / "portfolio.yaml"
MOST = 60
"""Trials of a search that is played."""

A_RUNG = 1.0
"""In progress, on ladders of ratio 2."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--against", help="a search, as `benchmarks.replay` names it")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    tasks = by_number(read_table(), MEASURED)
    elsewhere = by_number(read_table(ELSEWHERE_TABLE), ELSEWHERE)
    print("| task | tried first | to the best: trials, GFLOP | times less | within a rung of it |")
    print("| --- | --- | ---: | ---: | ---: |")
    for left_out, trials in tasks.items():
        others = [tasks[name] for name in MEASURED if name != left_out]
        against = None
        if asked.against:
            of = (TABLE, left_out, False, False)
            played = [in_order(of, asked.against, MOST, k) for k in range(asked.orders)]
            against = np.array([each.best[1] for each in played])
        show(left_out, trials, ranked(others), list(trials), asked.orders, against)
    for name, trials in elsewhere.items():
        drawn = list(itertools.takewhile(trials.__contains__, tasks["recall"]))
        show(name, trials, ranked(tasks.values()), drawn, asked.orders)
    if asked.write:
        write_aside(SHIPPED, yaml.safe_dump(portfolio(tasks), sort_keys=False).encode())


def portfolio(tasks: Mapping[str, Mapping[int, Trial]]) -> list[dict[str, Any]]:
    """What is shipped: the best on all of the tasks, each of another kind of cell."""
    known = next(iter(tasks.values()))
    found = []
    for number in different(ranked(tasks.values()), known)[: SIZES[-1]]:
        reached = ", ".join(f"{trials[number].reach} on {name}" for name, trials in tasks.items())
        parameters = dict(known[number].parameters)
        origin = f"{parameters['model/cell/kind']}, draw {number}, lag {reached}"
        found.append({"origin": origin, "parameters": parameters})
    return found


def by_number(table: Table, names: Iterable[str]) -> dict[str, dict[int, Trial]]:
    """The trials of each task, by their draws."""
    return {name: {trial.number: trial for trial in trials_of(table, name)} for name in names}


def ranked(tasks: Iterable[Mapping[int, Trial]]) -> list[int]:
    """Draws, the best on these tasks first."""
    of_each = list(tasks)
    return sorted(of_each[0], key=lambda number: worth(t[number] for t in of_each))


def different(numbers: Iterable[int], trials: Mapping[int, Trial]) -> list[int]:
    """The first of each kind of cell."""
    first: dict[str, int] = {}
    for number in numbers:
        first.setdefault(trials[number].parameters["model/cell/kind"], number)
    return list(first.values())


def candidates(tasks: Mapping[str, Mapping[int, Trial]]) -> list[int]:
    """Draws that may be tried first: the best on all of the tasks, and of different kinds."""
    order, known = ranked(tasks.values()), next(iter(tasks.values()))
    return [*order[: SIZES[-1]], *different(order, known)[: SIZES[-1]]]


def show(
    name: str,
    trials: Mapping[int, Trial],
    order: Sequence[int],
    drawn: Sequence[int],
    orders: int,
    against: np.ndarray | None = None,
) -> None:
    """The rows of a task: none tried first, then so many of the best, and of different kinds.

    The rest, and the best that is asked for, are of the ``drawn``: a sample of the space. GFLOP are
    compared with those ``against``, of other orders, or with those of none tried first.
    """
    best = max(trials[number].outcome for number in drawn)
    ranks = [number for number in order if number in trials]
    kinds = different(ranks, trials)
    for words, first in [("none", []), *_firsts("", ranks), *_firsts(" of different kinds", kinds)]:
        played = list(_orders(*([trials[n] for n in of] for of in (first, drawn)), orders))
        found, near = (
            np.array([until(asked, each) for each in played]) for asked in (best, best - A_RUNG)
        )
        against = found[:, 1] if against is None else against
        cells = [_medians(found), ratio(against, found[:, 1]), _medians(near)]
        print(f"| {name} | {words} | {' | '.join(cells)} |", flush=True)


def _firsts(words: str, numbers: Sequence[int]) -> list[tuple[str, Sequence[int]]]:
    return [(f"{size}{words}", numbers[:size]) for size in SIZES]


def _medians(found: np.ndarray) -> str:
    return ", ".join(f"{median:.0f}" for median in np.median(found, axis=0))


def worth(trials: Iterable[Trial]) -> tuple[float, float]:
    """Of a configuration on some tasks, the less the better: its progress, then its cost."""
    of_each = [(-trial.outcome, trial.gflop) for trial in trials]
    progress, cost = (sum(each) for each in zip(*of_each, strict=True))
    return round(progress, 9), cost


def _orders(first: Sequence[Trial], trials: Sequence[Trial], orders: int) -> Iterator[list[Trial]]:
    others = [trial for trial in trials if trial not in first]
    for seed in range(orders):
        rest = others.copy()
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
