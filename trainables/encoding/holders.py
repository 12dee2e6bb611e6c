"""What rows come in: lists, NumPy, torch, Arrow, pandas, a table with the file's columns.

Each becomes rows by number. A row of a table with several columns is put together here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from trainables.encoding.encoding import Encoding
from trainables.encoding.missing import is_null
from trainables.encoding.plain import fields, plain
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
        if len(channels) > 1 and not _holds_whole_rows(rows, columns, channels):
            for each in channels:
                _require_column(each, columns)
            parts = [_cells(rows[each], each) for each in channels]
            _require_as_many(parts, channels)
            return enumerate(_together(parts, encoding))
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
    if isinstance(values, np.ndarray) and values.dtype.kind == "T":  # NumPy's text of any length
        return values.astype(object)
    if type(values).__module__.startswith("scipy.sparse"):
        raise ValueError(f"rows: {name!r}: a sparse matrix is not allowed; a dense array")
    if isinstance(values, _of_pandas("api.extensions.ExtensionArray")):
        return np.asarray(values)
    return values.to_numpy() if isinstance(values, _of_pandas("Series", "Index")) else values


def of_fields(given: Sequence[Any], taken: Sequence[str]) -> str:
    """Which fields a step has, and which it is to have."""
    return f"the fields {_named(given)}; this model takes {_named(taken)}"


def _named(names: Sequence[Any]) -> str:
    return ", ".join(map(repr, names))


def is_text_row(row: Any, encoding: Encoding) -> bool:
    """Whether a text is a row: each of the model's symbols is one character."""
    steps = encoding.steps
    if not isinstance(row, str) or not isinstance(steps, TokenSteps):
        return False
    return all(isinstance(name, str) and len(name) == 1 for name in steps.vocabulary)


def _rows_of(rows: Any, name: str, encoding: Encoding) -> list[Any]:
    """The rows of one column."""
    given = fields(rows.type) if isinstance(rows, pa.Array | pa.ChunkedArray) else ()
    if given and encoding.fields and given != encoding.fields:
        raise ValueError(f"rows: {name!r} has steps of {of_fields(given, encoding.fields)}")
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
    one = {name: [value] for name, value in records[0].items()}
    wanted = channels[:1] if _holds_whole_rows(one, list(one), channels) else channels
    for number, record in enumerate(records):
        for each in wanted:
            if each not in record:
                raise ValueError(f"rows: {each!r} is not in record {number}")
    if len(wanted) > 1:
        return _together([[record[each] for record in records] for each in wanted], encoding)
    return [record[wanted[0]] for record in records]


def _holds_whole_rows(rows: Any, columns: list[Any], channels: Sequence[str]) -> bool:
    """Whether the first of several columns stands for them all: lists, and no other is there."""
    if any(name in columns for name in channels[1:]):
        return False
    cells = _cells(rows[channels[0]], channels[0]) if channels[0] in columns else []
    return bool(cells) and not isinstance(listed(cells[0], channels[0]), Number | np.generic)


def _together(parts: list[list[Any]], encoding: Encoding) -> list[Any]:
    """Rows of steps of as many values as there are channels (n, F); or of numbers, each a step."""
    channels = encoding.channels
    rows: list[Any] = []
    for number, cells in enumerate(zip(*parts, strict=True)):
        row = [listed(cell, name) for cell, name in zip(cells, channels, strict=True)]
        if encoding.steps.features == 1:
            _require_numbers(row, channels, number, encoding.takes_nan)
            rows.append(row)
        else:
            rows.append(_of_channels(row, channels, number))
    return rows


def _require_numbers(row: list[Any], channels: Sequence[str], number: int, takes_nan: bool) -> None:
    """Refuse a row whose columns are its steps, but hold something else."""
    for cell, name in zip(row, channels, strict=True):
        if _is_missing(cell):
            if not takes_nan:
                raise ValueError(f"rows: {name!r} has a null in row {number}")
        elif not (isinstance(cell, Number | np.generic) or _is_single(cell)):
            raise ValueError(
                f"rows: {name!r} holds {type(cell).__name__}, which is no number, in row {number}"
            )


def _is_missing(cell: Any) -> bool:
    """Whether a table has nothing there."""
    return is_null(cell) or (isinstance(cell, float) and cell != cell)


def _of_channels(row: list[Any], channels: Sequence[str], number: int) -> list[list[Any]]:
    for cell, name in zip(row, channels, strict=True):
        if _is_missing(cell):
            raise ValueError(f"rows: {name!r} has a null in row {number}")
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
    if isinstance(rows, _of_pandas("DataFrame")):
        return list(rows.columns)
    return list(rows) if isinstance(rows, Mapping) else None


def _of_pandas(*kinds: str) -> tuple[Any, ...]:
    """Its types by these names; none where nobody has imported it, and so has no such value."""
    pandas = sys.modules.get("pandas")
    return () if pandas is None else tuple(attrgetter(kind)(pandas) for kind in kinds)
