"""What rows come in: lists, NumPy, torch, Arrow, pandas, a table with the file's columns.

Each becomes rows by number. A row of a table with several columns is put together here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from trainables.encoding.encoding import Encoding
from trainables.encoding.missing import is_null
from trainables.encoding.plain import plain
from trainables.encoding.steps import TokenSteps


def numbered(rows: Any, encoding: Encoding) -> Iterable[tuple[int, Any]]:
    """The rows, by number; what they are is not looked at yet.

    Raises:
        ValueError: in one line, if it holds no rows, or a column lacks or is there twice.
    """
    name = encoding.column
    columns = columns_of(rows)
    if columns is not None:
        _require_column(name, columns)
        _require_together(rows[name], encoding)
        channels = encoding.channels
        if len(channels) > 1 and all(each in columns for each in channels):
            for each in channels:
                _require_column(each, columns)
            parts = [_cells(rows[each], each) for each in channels]
            _require_as_many(parts, channels)
            return enumerate(_together(parts, channels))
        rows = rows[name]
    found = _rows_of(rows, name, encoding)
    if found and all(isinstance(row, Mapping) for row in found):  # records of a table
        found = _of_records(found, encoding)
    return enumerate(found)


def array(tensor: torch.Tensor, name: str) -> np.ndarray:
    """A tensor's values, of the nearest type that NumPy has.

    Raises:
        ValueError: in one line, if it is not dense: sparse, nested, quantised or without values.
    """
    tensor = tensor.detach()
    if tensor.is_floating_point() and tensor.dtype not in _FLOATS:
        tensor = tensor.float()
    try:
        return tensor.resolve_conj().resolve_neg().cpu().numpy()
    except (TypeError, RuntimeError, NotImplementedError):
        kind = f"{tensor.layout}, {tensor.dtype}, on {tensor.device}"
        raise ValueError(
            f"rows: {name!r}: a tensor of {kind} is not allowed; a dense one of numbers"
        ) from None


_FLOATS = (torch.float16, torch.float32, torch.float64)


def listed(values: Any, name: str) -> Any:
    """One row, or one column, of torch, Arrow or pandas as an array or a list; else as it is."""
    if isinstance(values, torch.Tensor):
        if values.is_nested:
            return [array(each, name) for each in values.unbind()]
        return array(values, name)
    if isinstance(values, pa.Array | pa.ChunkedArray):
        chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
        return [row for chunk in chunks for row in plain(chunk).to_pylist()]
    if isinstance(values, pa.Scalar):
        return values.as_py()
    return values.to_numpy() if _is_pandas(values, "Series") else values


def is_text_row(row: Any, encoding: Encoding) -> bool:
    """Whether a text is a row: each of the model's symbols is one character."""
    steps = encoding.steps
    if not isinstance(row, str) or not isinstance(steps, TokenSteps):
        return False
    return all(isinstance(name, str) and len(name) == 1 for name in steps.vocabulary)


def _rows_of(rows: Any, name: str, encoding: Encoding) -> list[Any]:
    """The rows of one column."""
    rows = listed(rows, name)
    if isinstance(rows, np.ndarray) and rows.dtype != object and rows.shape != (0,):
        if rows.ndim == 1 and rows.dtype.kind == "U" and is_text_row("", encoding):
            return list(rows.tolist())
        if rows.ndim < 2:
            raise ValueError(
                f"rows: {name!r}: an array of shape {rows.shape} holds no rows; allowed: (N, T) or"
                f" (N, T, {encoding.steps.features}); one row alone is given as [row]"
            )
        return list(rows)
    if (
        isinstance(rows, str | bytes | Mapping)
        or not isinstance(rows, Iterable)
        or (isinstance(rows, np.ndarray) and not rows.ndim)
    ):
        raise ValueError(
            f"rows: {type(rows).__name__} is not allowed; a list of rows, an array, or a table"
            f" with the column {name!r}"
        )
    found = list(rows)
    first = found[0] if found else None
    is_one = isinstance(first, Number | np.generic | str) and first == first  # NaN is a null
    if is_one and not is_text_row(first, encoding):
        raise ValueError(
            f"rows: {name!r}: {first!r} is no row; give a list of rows, each a list: [row]"
        )
    return found


def _cells(column: Any, name: str) -> list[Any]:
    """One of several columns: lists, of channels, or numbers, which are steps."""
    cells = listed(column, name)
    if isinstance(cells, str | bytes | Mapping) or not isinstance(cells, Iterable):
        raise ValueError(
            f"rows: {name!r}: {type(cells).__name__} is not allowed; a column, one value a row"
        )
    return list(cells)


def _of_records(records: list[Any], encoding: Encoding) -> list[Any]:
    channels = encoding.channels
    wanted = channels if all(each in records[0] for each in channels) else (encoding.column,)
    for number, record in enumerate(records):
        for each in wanted:
            if each not in record:
                raise ValueError(f"rows: {each!r} is not in record {number}")
    if len(wanted) > 1:
        return _together([[record[each] for record in records] for each in wanted], wanted)
    return [record[wanted[0]] for record in records]


def _together(parts: list[list[Any]], channels: Sequence[str]) -> list[Any]:
    """Rows of steps of as many values as there are channels (n, F)."""
    rows: list[Any] = []
    for number, cells in enumerate(zip(*parts, strict=True)):
        row = [listed(cell, name) for cell, name in zip(cells, channels, strict=True)]
        if any(is_null(cell) for cell in row):
            rows.append(None)
        elif all(isinstance(cell, Number | np.generic) for cell in row):  # columns that are steps
            rows.append(row)
        else:
            rows.append(_of_channels(row, channels, number))
    return rows


def _of_channels(row: list[Any], channels: Sequence[str], number: int) -> list[list[Any]]:
    for cell, name in zip(row, channels, strict=True):
        if isinstance(cell, str) or not isinstance(cell, Sequence | np.ndarray) or _is_single(cell):
            raise ValueError(
                f"rows: {name!r} holds {type(cell).__name__}, which is no list of steps, in row"
                f" {number}"
            )
    if len({len(cell) for cell in row}) > 1:
        together = ", ".join(map(repr, channels))
        raise ValueError(f"rows: {together} are of different length in row {number}")
    return [list(step) for step in zip(*row, strict=True)]


def _is_single(cell: Any) -> bool:
    return isinstance(cell, np.ndarray) and cell.ndim == 0


def _require_column(name: str, columns: list[Any]) -> None:
    count = sum(each == name for each in columns)
    if not count:
        there = ", ".join(repr(str(each)) for each in columns) or "none"
        raise ValueError(f"rows: {name!r} is not a column of the table; its columns: {there}")
    if count > 1:
        raise ValueError(f"rows: {name!r} names {count} columns of the table; allowed: one")


def _require_together(column: Any, encoding: Encoding) -> None:
    """Refuse a file's table as it lies there, where each of its rows is but one step of one."""
    cells = _cells(column, encoding.column) if encoding.together else []
    if cells and isinstance(cells[0], Number | np.generic | str):
        raise ValueError(
            f"rows: {encoding.column!r} has one step a row, and this model takes a list of them;"
            f" allowed: table{encoding.together}"
        )


def _require_as_many(parts: list[list[Any]], channels: Sequence[str]) -> None:
    counts = [len(part) for part in parts]
    if len(set(counts)) > 1:
        told = ", ".join(f"{name!r} {n}" for name, n in zip(channels, counts, strict=True))
        raise ValueError(f"rows: the columns have different numbers of rows: {told}")


def columns_of(rows: Any) -> list[Any] | None:
    """The columns of a table; None if it is none."""
    if isinstance(rows, pa.Table | pa.RecordBatch):
        return list(rows.schema.names)
    if _is_pandas(rows, "DataFrame"):
        return list(rows.columns)
    return list(rows) if isinstance(rows, Mapping) else None


def _is_pandas(value: Any, kind: str) -> bool:
    pandas = sys.modules.get("pandas")  # whoever gives a pandas value has imported it
    return pandas is not None and isinstance(value, getattr(pandas, kind))
