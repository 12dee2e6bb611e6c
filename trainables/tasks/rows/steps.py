"""A list column as numbers: every row's steps, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int, Num

from trainables.encoding.missing import NAN, NULL, is_missing


@dataclass(frozen=True)
class Steps:
    """The sequences of R rows.

    Attributes:
        values: the F numbers of every step (N, F), one row after the other
        lengths: steps of each row (R,)

    """

    values: Num[np.ndarray, "N F"]
    lengths: Int[np.ndarray, " R"]


def steps_of(
    column: pa.Array,
    name: str,
    first_row: int,
    features: int,
    missing: Sequence[float | str] = (),
) -> Steps:
    """The steps of a column of lists of numbers (F = 1), or of lists of lists of F numbers.

    Args:
        column: some rows' sequences
        name: the column and its file, for errors
        first_row: the number of the column's first row, for errors
        features: F, as in the rows before; 0 where there were none
        missing: numbers that stand for nothing, and ``null`` and ``nan`` where they may: those
            are NaN in what comes out, and integers are floats then

    Raises:
        ValueError: if the column holds something else, nulls, empty or ragged lists, NaN, infinity
            or numbers beyond float32.

    """
    _require_numbers(column.type, name)

    def refuse(wrong: Bool[np.ndarray, " K"], ends: Int[np.ndarray, " R"], what: str) -> None:
        if wrong.any():
            row = first_row + int(np.searchsorted(ends, np.argmax(wrong), side="right"))
            raise ValueError(f"sequence: {name} has {what} in row {row}")

    ends = np.arange(1, len(column) + 1)
    refuse(_is_null(column), ends, "a null")
    lengths = _lengths(column)
    refuse(lengths == 0, ends, "an empty list")
    ends, inner = np.cumsum(lengths), pc.list_flatten(column)
    if _is_list(inner.type):
        refuse(_is_null(inner), ends, "a null")
        widths = _lengths(inner)
        refuse(widths == 0, ends, "an empty inner list")
        features = features or int(widths[0])
        refuse(widths != features, ends, f"an inner list whose length is not {features}")
        ends, inner = ends * features, pc.list_flatten(inner)
    nulls = _is_null(inner)
    if NULL not in missing:
        refuse(nulls, ends, "a null")
    values = _numbers(inner, NULL in missing)
    with np.errstate(over="ignore"):
        beyond = ~np.isfinite(values.astype(np.float32, copy=False))
    if missing:
        beyond &= ~(is_missing(values, missing) & (nulls | ~np.isnan(values) | (NAN in missing)))
    refuse(beyond, ends, "NaN, infinity or a number beyond float32")
    return Steps(values.reshape(-1, features or 1), lengths)


def _require_numbers(column: pa.DataType, name: str) -> None:
    value = column
    for _ in range(2):
        value = value.value_type if _is_list(value) else value
    is_number = pa.types.is_integer(value) or pa.types.is_floating(value)
    if not _is_list(column) or not (is_number or pa.types.is_boolean(value)):
        raise ValueError(
            f"sequence: {name} holds {column}; allowed: a list of numbers, or of lists of numbers"
            + _hint(column, value)
        )


def _hint(column: pa.DataType, value: pa.DataType) -> str:
    """How text is read, where there is some; in a text there may be a list, as CSV files have."""
    if not (pa.types.is_string(value) or pa.types.is_large_string(value)):
        return ""
    if _is_list(column):
        return "; of text: `values: tokens`"
    return "; of text: `values: characters`, or lists of words with `values: tokens`"


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_null(column: pa.Array) -> Bool[np.ndarray, " K"]:
    if column.null_count == 0:
        return np.zeros(len(column), dtype=bool)
    return column.is_null().to_numpy(zero_copy_only=False)


def _lengths(lists: pa.Array) -> Int[np.ndarray, " K"]:
    return pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)


def _numbers(leaves: pa.Array, may_be_null: bool) -> Num[np.ndarray, " K"]:
    if pa.types.is_boolean(leaves.type):
        leaves = leaves.cast(pa.uint8())
    if may_be_null and pa.types.is_integer(leaves.type):
        leaves = leaves.cast(pa.float64(), safe=False)
    return leaves.to_numpy(zero_copy_only=False)
