"""Whether a search finds the best sooner by progress as it is than by progress as it was.

    python -m benchmarks.replay.paired [--search tpe+none+breadth] [--task copying] [--orders 40]

Each order is played twice, by the same seed: once by whole sequences alone, with members that were
left out as nothing (earlier), and once as it is. A row is printed for each, with the trials until
the best of the table stood measured; then in how many orders it stood sooner, as soon and later,
and the exact two-sided sign test of those that differ.
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from benchmarks.replay.orders import in_order
from benchmarks.replay.table import TABLE
from benchmarks.replay.tasks import MEASURED


def main() -> None:
    """Print the rows, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--search", default="tpe+none+breadth")
    parser.add_argument("--task", default="copying", choices=list(MEASURED))
    parser.add_argument("--orders", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="order to begin with")
    parser.add_argument("--trials", type=int, default=60)
    asked = parser.parse_args()
    found = []
    for order in range(asked.first, asked.first + asked.orders):
        found.append(
            [
                in_order(
                    (TABLE, asked.task, earlier, False), asked.search, asked.trials, order
                ).best[0]
                for earlier in (True, False)
            ]
        )
        print(order, *found[-1], flush=True)
    print(said(np.array(found)))


def said(found: np.ndarray) -> str:
    """Of the trials to the best (orders, 2), earlier and now, one line."""
    earlier, now = found.T
    sooner, later = int((now < earlier).sum()), int((now > earlier).sum())
    chance = sign_test(sooner, later)
    return (
        f"found {np.isfinite(earlier).mean():.0%} and {np.isfinite(now).mean():.0%},"
        f" median trials {np.median(earlier):.0f} and {np.median(now):.0f};"
        f" sooner in {sooner} of {len(found)} orders, later in {later}, p {chance:.2f}"
    )


def sign_test(one: int, other: int) -> float:
    """The exact two-sided probability of as uneven a split of fair throws."""
    total, least = one + other, min(one, other)
    return min(1.0, 2 * sum(math.comb(total, k) for k in range(least + 1)) / 2**total)


if __name__ == "__main__":
    main()
