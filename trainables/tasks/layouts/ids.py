"""Columns that say which rows belong together, or apart: no two values may become one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from trainables.encoding.plain import is_list, plain
from trainables.tasks.layouts.layout import is_sequence

NAMING = ("group_by", "group")
DIVIDING = (*NAMING, "split", "order_by")
"""The keys of such columns."""

EXACT = 2.0**53
"""From here on a double stands for several whole numbers."""


def as_read(column: pa.Array, key: str, name: str, first_row: int) -> pa.Array:
    """A column in the few types that are read: `as_ids` of those in `DIVIDING`, `plain` of others.

    What is no sequence has no half floats: Arrow compares, sorts and tells apart only wider ones.
    """
    if is_sequence(key):
        return plain(column)
    column = as_ids(column, key, name, first_row) if key in DIVIDING else plain(column)
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    if is_list(column.type) and pa.types.is_float16(column.type.value_type):
        return column.cast(pa.large_list(pa.float32()))
    return column


def as_ids(column: pa.Array, key: str, name: str, first_row: int) -> pa.Array:
    """The column as the few types that are read; ids that are decimals are text, digit for digit.

    Args:
        column: of some rows
        key: one of `DIVIDING`
        name: the column and its file, for errors
        first_row: the number of the column's first row, for errors

    Raises:
        ValueError: if the column holds lists, records or the like, a value is NaN, which is equal
            to nothing, or an id is a double that stands for several whole numbers
    """
    is_id, given = key in NAMING, column.type
    if is_id and pa.types.is_decimal(given):
        column = column.cast(pa.string())
    column = plain(column)
    if isinstance(column.type, pa.BaseExtensionType):  # such as UUIDs
        column = column.storage
    if pa.types.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary())
    if not (_is_plain(column.type) or (is_id and pa.types.is_binary(column.type))):
        raise ValueError(f"{key}: {name} holds {given}; allowed: integers, text, dates, times")
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


def _is_plain(kind: pa.DataType) -> bool:
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    is_number = pa.types.is_primitive(kind) and not pa.types.is_interval(kind)
    return bool(is_text or is_number or pa.types.is_null(kind))
