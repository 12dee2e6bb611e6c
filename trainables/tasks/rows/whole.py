"""Whole numbers in a column of floats or decimals, as joins, sums and other tools leave them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class FractionError(ValueError):
    """A number that is not whole where only whole ones are allowed."""


EXACT = 2**53
"""Beyond it, doubles no longer tell whole numbers apart."""


def is_fractional(kind: pa.DataType) -> bool:
    """Whether a column's type can hold fractions: floats, decimals with a scale."""
    return bool(pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.scale > 0))


def whole(column: pa.Array, name: str) -> pa.Array:
    """The column, without nulls, as 64-bit integers; columns that are no floats or decimals stay.

    Raises:
        FractionError: beginning with ``name``, with the first row that is not whole.
    """
    kind = column.type
    if pa.types.is_floating(kind):
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        wrong = ~((np.floor(values) == values) & (np.abs(values) <= EXACT))
        if not wrong.any():
            return pa.array(values.astype(np.int64))
        row = int(np.argmax(wrong))
        found = str(values[row])
    elif pa.types.is_decimal(kind):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            rounded = pc.round(column)
            row = pc.index(pc.equal(column, rounded), pa.scalar(False)).as_py()
            found = str(column[max(0, row)].as_py())
    else:
        return column
    raise FractionError(
        f"{name} holds {kind}, and {found} in row {row} is no whole number of 64 bits"
    )
