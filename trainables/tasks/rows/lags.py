"""A column that says how far back each row's evidence lies."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int

from trainables.tasks.rows.reading import Rows


def lags_of(rows: Rows, name: str) -> Int[np.ndarray, " R"]:
    """The lag of each row: from 1 to its steps less one.

    Raises:
        ValueError: if the column is not of integers, or a lag leads out of its row.

    """
    column = rows.columns["lag"]
    if not pa.types.is_integer(column.type):
        raise ValueError(f"lag: {name!r} of {rows.file} holds {column.type}; allowed: integers")
    lags = column.to_numpy(zero_copy_only=False).astype(np.int64)
    beyond = (lags < 1) | (lags >= rows.lengths)
    if beyond.any():
        row = int(np.argmax(beyond))
        raise ValueError(
            f"lag: {name!r} of {rows.file} is {lags[row]} in row {row}, whose sequence has"
            f" {rows.lengths[row]} steps; allowed: at least 1 and less than the steps"
        )
    return lags


def near(
    lags: Int[np.ndarray, " R"], shortest: int, lag: int, nearness: float
) -> Bool[np.ndarray, " R"]:
    """Which rows' lags are at least ``shortest`` and less than ``nearness * lag``."""
    return (lags >= shortest) & (lags < nearness * lag)
