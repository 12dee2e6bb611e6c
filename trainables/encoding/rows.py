"""The rows that a user gives, in whatever they are held: read, checked, and named where wrong.

Lists, NumPy, torch, an Arrow or pandas column, or a table with the file's column. Nothing is
guessed: a row that the file could not have held is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from trainables.encoding.encoding import Encoding
from trainables.encoding.missing import Missing, is_missing
from trainables.encoding.plain import plain
from trainables.encoding.steps import NumberSteps, PlainSteps, SymbolSteps, TokenSteps


def read_rows(rows: Any, encoding: Encoding) -> list[np.ndarray]:
    """Each row's values (n, F), raw, n >= 1.

    Args:
        rows: N rows: a list, an array (N, T) or (N, T, F), a column, or a table with the column
        encoding: what a row must be

    Raises:
        ValueError: in one line naming the column, and the row where there is one: if the column
            is not there; or a row is empty, ragged, of another number of features or another type,
            or holds nulls, NaN, infinity, numbers beyond float32 or a symbol that is not known.
    """
    column = _column(rows, encoding)
    return [_row(row, f"{encoding.column!r}", number, encoding) for number, row in column]


def _column(rows: Any, encoding: Encoding) -> Iterable[tuple[int, Any]]:
    """The rows of the column, by number."""
    name = encoding.column
    columns = _columns(rows)
    if columns is not None:
        if name not in columns:
            there = ", ".join(repr(str(each)) for each in columns) or "none"
            raise ValueError(f"rows: {name!r} is not a column of the table; its columns: {there}")
        channels = encoding.channels
        if len(channels) > 1 and all(each in columns for each in channels):
            return enumerate(_together([list(_plainly(rows[each])) for each in channels], channels))
        rows = rows[name]
    rows = _plainly(rows)
    if isinstance(rows, np.ndarray):
        if rows.ndim == 0 or (rows.ndim == 1 and rows.dtype != object):
            raise ValueError(
                f"rows: {name!r}: an array of shape {rows.shape} holds no rows; allowed: (N, T) or"
                f" (N, T, {encoding.steps.features})"
            )
        return enumerate(rows)
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise ValueError(
            f"rows: {type(rows).__name__} is not allowed; a list of rows, an array, or a table"
            f" with the column {name!r}"
        )
    found = list(rows)
    if found and all(isinstance(row, Mapping) for row in found):  # records of a table
        lacking = next((number for number, row in enumerate(found) if name not in row), None)
        if lacking is not None:
            raise ValueError(f"rows: {name!r} is not in record {lacking}")
        channels = encoding.channels
        if len(channels) > 1 and all(each in row for row in found for each in channels):
            together = _together([[row[each] for row in found] for each in channels], channels)
            return enumerate(together)
        found = [row[name] for row in found]
    is_text = bool(found) and isinstance(found[0], str)
    if (
        found
        and isinstance(found[0], Number | np.generic | str)
        and not (is_text and not isinstance(rows, str) and _is_of_characters(encoding))
    ):
        raise ValueError(
            f"rows: {name!r}: {found[0]!r} is no row; give a list of rows, each a list: [row]"
        )
    return enumerate(found)


def _plainly(rows: Any) -> Any:
    """A column of torch, Arrow or pandas as an array or a list; anything else as it is."""
    if isinstance(rows, torch.Tensor):
        return _array(rows)
    if isinstance(rows, pa.Array | pa.ChunkedArray):
        chunks = rows.chunks if isinstance(rows, pa.ChunkedArray) else [rows]
        return [row for chunk in chunks for row in plain(chunk).to_pylist()]
    return rows.to_numpy() if _is_pandas(rows, "Series") else rows


def _is_of_characters(encoding: Encoding) -> bool:
    """Whether a text is a row: each of the model's symbols is one character."""
    steps = encoding.steps
    if not isinstance(steps, TokenSteps):
        return False
    return all(isinstance(name, str) and len(name) == 1 for name in steps.vocabulary)


def _together(parts: list[list[Any]], channels: Sequence[str]) -> list[Any]:
    """Rows of steps of as many values as there are channels (n, F)."""
    rows: list[Any] = []
    for number, row in enumerate(zip(*parts, strict=True)):
        if any(part is None for part in row):
            rows.append(None)
            continue
        if all(isinstance(part, Number | np.generic) for part in row):  # columns that are steps
            rows.append(list(row))
            continue
        if len({len(part) for part in row}) > 1:
            listed = ", ".join(map(repr, channels))
            raise ValueError(f"rows: {listed} are of different length in row {number}")
        rows.append([list(step) for step in zip(*row, strict=True)])
    return rows


def _columns(rows: Any) -> list[Any] | None:
    """The columns of a table; None if it is none."""
    if isinstance(rows, pa.Table | pa.RecordBatch):
        return list(rows.schema.names)
    if _is_pandas(rows, "DataFrame"):
        return list(rows.columns)
    return list(rows) if isinstance(rows, Mapping) else None


def _is_pandas(value: Any, kind: str) -> bool:
    pandas = sys.modules.get("pandas")  # whoever gives a pandas value has imported it
    return pandas is not None and isinstance(value, getattr(pandas, kind))


def _array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor if tensor.dtype != torch.bfloat16 else tensor.float()).numpy()


def _row(row: Any, column: str, number: int, encoding: Encoding) -> np.ndarray:
    def refuse(what: str) -> ValueError:
        return ValueError(f"rows: {column} {what} in row {number}")

    if row is None or isinstance(row, float):  # a table's missing value
        raise refuse("has a null")
    if isinstance(row, str) and _is_of_characters(encoding):
        row = list(row)
    if isinstance(row, Number | str | bytes | Mapping):
        raise refuse(f"holds {type(row).__name__}, which is no list of steps,")
    row = _array(row) if isinstance(row, torch.Tensor) else row
    values = _flat(row, refuse, _takes_nan(encoding))
    if values.size == 0:
        raise refuse("has an empty list")
    if values.ndim > 2:
        raise refuse(f"has {values.ndim} levels of lists; allowed: steps, or steps of numbers,")
    values = values.reshape(len(values), -1)
    features = encoding.steps.features
    if values.shape[1] != features:
        channels = ", ".join(map(repr, encoding.channels)) if len(encoding.channels) > 1 else ""
        of = f" (columns {channels})" if channels else ""
        raise refuse(f"has {values.shape[1]} values a step; this model takes {features}{of}:")
    steps = encoding.steps
    if isinstance(steps, NumberSteps | PlainSteps):
        return _numbers(values, refuse, steps.missing if isinstance(steps, NumberSteps) else None)
    if isinstance(steps, TokenSteps):
        return _tokens(values, steps, refuse)
    return _symbols(values, steps, refuse)


def _takes_nan(encoding: Encoding) -> bool:
    """Whether a null or NaN among a row's values is known to the model as missing."""
    steps = encoding.steps
    return isinstance(steps, NumberSteps) and steps.missing is not None and steps.missing.takes_nan


def _flat(row: Any, refuse: Any, takes_nan: bool) -> np.ndarray:
    """A row's values (n,) or (n, F): of numbers, or objects where they are not."""
    if isinstance(row, np.ndarray) and row.dtype != object:
        return row
    if not isinstance(row, Sequence | np.ndarray):
        raise refuse(f"holds {type(row).__name__}, which is no list of steps,")
    inner = [_array(step) if isinstance(step, torch.Tensor) else step for step in row]
    if inner and all(isinstance(step, Mapping) for step in inner):  # records, as `plain` has them
        inner = [[step[name] for name in sorted(step)] for step in inner]
    nested = [isinstance(step, list | tuple | np.ndarray) and np.ndim(step) > 0 for step in inner]
    if any(nested):
        if not all(nested):
            raise refuse("has a null" if any(s is None for s in inner) else "is ragged")
        if len({len(step) for step in inner}) > 1:
            raise refuse("has steps of different length")
        levelled = _levelled([value for step in inner for value in step], refuse, takes_nan)
        return levelled.reshape(len(inner), -1)
    return _levelled(inner, refuse, takes_nan)


def _levelled(values: list[Any], refuse: Any, takes_nan: bool) -> np.ndarray:
    if takes_nan:
        values = [np.nan if value is None else value for value in values]
    if any(value is None for value in values):
        raise refuse("has a null")
    if any(isinstance(value, Decimal) for value in values):
        values = [float(value) for value in values]
    kinds = {isinstance(value, str) for value in values}
    if len(kinds) > 1:
        raise refuse("mixes text and numbers")
    try:
        return np.asarray(values)
    except (ValueError, TypeError, OverflowError):
        raise refuse("is ragged") from None


def _require_numbers(values: np.ndarray, refuse: Any, missing: Missing | None = None) -> np.ndarray:
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "iuf":
        kind = "text" if values.dtype.kind in "US" else str(values.dtype)
        raise refuse(f"holds {kind}; allowed: numbers;")
    if not np.isfinite(_known(values, missing)).all():
        raise refuse("has NaN or infinity")
    return values


def _numbers(values: np.ndarray, refuse: Any, missing: Missing | None) -> np.ndarray:
    numbers = _require_numbers(values, refuse, missing)
    with np.errstate(over="ignore"):
        if not np.isfinite(_known(numbers, missing).astype(np.float32)).all():
            raise refuse("has a number beyond float32")
    return numbers


def _known(values: np.ndarray, missing: Missing | None) -> np.ndarray:
    """Those of the values that have to be numbers."""
    if missing is None:
        return values
    if not missing.takes_nan and values.dtype.kind == "f" and np.isnan(values).any():
        return values
    return values[~is_missing(values, missing.values)]


def _tokens(values: np.ndarray, steps: TokenSteps, refuse: Any) -> np.ndarray:
    is_text = isinstance(steps.vocabulary[0], str)
    if is_text != (values.dtype.kind == "U"):
        raise refuse(
            f"holds {values.dtype}; this model's symbols are like {steps.vocabulary[0]!r};"
        )
    if not is_text:
        values = _require_numbers(values, refuse)
    unknown = steps.unknown(values[:, 0])
    if unknown.any():
        symbol = values[np.argmax(unknown), 0].item()
        raise refuse(f"has the symbol {symbol!r}, which is not in the model's vocabulary,")
    return values


def _symbols(values: np.ndarray, steps: SymbolSteps, refuse: Any) -> np.ndarray:
    """Numbers of symbols, from names or numbers."""
    if values.dtype.kind in "iuf":
        numbers = _require_numbers(values, refuse)
        wrong = (numbers < 0) | (numbers >= len(steps.names)) | (numbers != np.floor(numbers))
        found = numbers.astype(np.int64)
    elif values.dtype.kind == "U":
        given = [steps.numbers.get(str(name), -1) for name in values[:, 0]]
        found = np.array(given, dtype=np.int64)[:, None]
        wrong = found < 0
    else:
        raise refuse(f"holds {values.dtype}; allowed: symbols by name or by number;")
    if wrong.any():
        symbol = values[np.argmax(wrong), 0].item()
        some = ", ".join(repr(name) for name in steps.names[:4])
        raise refuse(f"has the symbol {symbol!r}, which this model does not know ({some}, ..),")
    return found
