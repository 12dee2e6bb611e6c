"""Columns that say which rows belong together, or apart: no two of their values may become one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from trainables.encoding.plain import plain

NAMING = ("group_by", "group")
DIVIDING = (*NAMING, "split")
"""The keys of such columns."""

EXACT = 2.0**53
"""From here on a double stands for several whole numbers."""


def as_ids(column: pa.Array, key: str, name: str, first_row: int) -> pa.Array:
    """The column as the few types that are read; ids that are decimals are text, digit for digit.

    Args:
        column: of some rows
        key: one of `DIVIDING`
        name: the column and its file, for errors
        first_row: the number of the column's first row, for errors

    Raises:
        ValueError: if a value is NaN, which is equal to nothing, or an id is a double that stands
            for several whole numbers
    """
    is_id = key in NAMING
    is_exact = is_id and pa.types.is_decimal(column.type)
    column = plain(column.cast(pa.string()) if is_exact else column)
    if not pa.types.is_floating(column.type):
        return column
    values = column.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
    wrong = {"is NaN": np.isnan(values)}
    if is_id:
        wrong["is beyond 2^53, where a double stands for several ids"] = np.abs(values) >= EXACT
    for what, places in wrong.items():
        if places.any():
            row = first_row + int(np.argmax(places))
            raise ValueError(f"{key}: {name} {what}, in row {row}; allowed: integers, text")
    return column
