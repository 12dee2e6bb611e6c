"""Whole numbers in a column of floats, as joins, sums, decimals and other tools leave them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

EXACT = 2**53
"""Beyond it, doubles no longer tell whole numbers apart."""


class FractionError(ValueError):
    """A number that is not whole where only whole ones are allowed."""


def whole(column: pa.Array, name: str) -> pa.Array:
    """The column, without nulls, as 64-bit integers where it is of floats; others stay as they are.

    Raises:
        FractionError: beginning with ``name``, with the first row that is not whole.
    """
    if not pa.types.is_floating(column.type):
        return column
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    wrong = ~((np.floor(values) == values) & (np.abs(values) <= EXACT))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise FractionError(
            f"{name} holds {column.type}, and {values[row]} in row {row} is no whole number"
        )
    return pa.array(values.astype(np.int64))
