"""Rows that belong together: whoever knows the training rows by heart answers the held-out ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.measure.reliability import look_confidence, lower_bound
from trainables.tasks.parquet import Parquet

THINGS, OF_EACH, NUMBERS = 300, 10, 16
HELD_OUT, SHOWN = 0.2, 512


def copies(things: int, of_each: int, jitter: float, seed: int = 0) -> tuple[Any, Any, Any]:
    """Random vectors with random labels, so many jittered copies of each; and whose they are."""
    g = np.random.default_rng(seed)
    which = np.repeat(np.arange(things), of_each)
    rows = g.normal(size=(things, NUMBERS))[which] + jitter * g.normal(size=(len(which), NUMBERS))
    return rows, g.integers(0, 2, things)[which], which


def over(file: Path, rows: Any, labels: Any, **more: Any) -> Parquet:
    """A task over them; ``more`` are further columns, or `group` and `values`."""
    keys = {key: more.pop(key) for key in ("group", "values") if key in more}
    pq.write_table(pa.table({"x": rows.tolist(), "y": labels} | more), file)
    return Parquet(Parquet.Config(path=file, sequence="x", target="y", **keys))


def near_copies(task: Parquet) -> list[str]:
    """The warnings about them."""
    return [line for line in task.account.warnings if "near copies" in line]


def by_heart(file: Path, seed: int, success: float, **group: str) -> tuple[bool, bool]:
    """A data set of things with ten near copies each, and a member that knows its training rows.

    Returns:
        whether that solves a rung, and whether near copies are warned of
    """
    rows, labels, which = copies(THINGS, OF_EACH, jitter=0.3, seed=seed)
    task = over(file, rows, labels, thing=which, **group)
    shown = min(SHOWN, round(HELD_OUT * len(rows)))
    right = round(task.account.answers.nearest * shown)
    return lower_bound(right, shown, look_confidence(1)) >= success, bool(near_copies(task))
