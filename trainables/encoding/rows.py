"""The rows that a user gives, in whatever they are held: read, checked, and named where wrong.

Lists, NumPy, torch, an Arrow or pandas column, or a table with the file's column. Nothing is
guessed: a row that the file could not have held is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Number
from typing import Any

import numpy as np

from trainables.encoding.encoding import Encoding
from trainables.encoding.holders import is_text_row, listed, numbered, of_fields
from trainables.encoding.missing import Missing, is_missing, is_null
from trainables.encoding.steps import NumberSteps, PlainSteps, SymbolSteps, TokenSteps

Refuse = Callable[[str], ValueError]
"""The error for what is wrong with a row, which it names."""


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
    return [_row(row, number, encoding) for number, row in numbered(rows, encoding)]


def _row(row: Any, number: int, encoding: Encoding) -> np.ndarray:
    column = encoding.column

    def refuse(what: str) -> ValueError:
        return ValueError(f"rows: {column!r} {what} in row {number}")

    row = listed(row, column)
    row = list(row) if is_text_row(row, encoding) else row
    if is_null(row) or (isinstance(row, float) and np.isnan(row)):  # a table's missing value
        raise refuse("has a null")
    if not isinstance(row, Sequence | np.ndarray) or isinstance(row, str | bytes):
        raise refuse(f"holds {type(row).__name__}, which is no list of steps,")
    values = _flat(row, refuse, encoding)
    if values.ndim == 0:
        raise refuse("holds one number, which is no list of steps,")
    if values.size == 0:
        raise refuse("has an empty list")
    if values.ndim > 2:
        raise refuse(f"has {values.ndim} levels of lists; allowed: steps, or steps of numbers,")
    alone = values.ndim == 1 and len(values) == encoding.steps.features
    values = values.reshape(len(values), -1)
    _require_features(values.shape[1], alone, refuse, encoding)
    steps = encoding.steps
    if isinstance(steps, NumberSteps | PlainSteps):
        return _numbers(values, refuse, steps.missing if isinstance(steps, NumberSteps) else None)
    if isinstance(steps, TokenSteps):
        return _tokens(values, steps, refuse)
    return _symbols(values, steps, refuse)


def _require_features(given: int, alone: bool, refuse: Refuse, encoding: Encoding) -> None:
    """``alone``: whether what stands as a row looks like one step of one."""
    features = encoding.steps.features
    if given == features:
        return
    channels = ", ".join(map(repr, encoding.channels)) if len(encoding.channels) > 1 else ""
    of = f" (columns {channels})" if channels else ""
    outer = "; one row alone is given as [row]" if alone else ""
    raise refuse(f"has {given} values a step; this model takes {features}{of}{outer}:")


def _flat(row: Any, refuse: Refuse, encoding: Encoding) -> np.ndarray:
    """A row's values (n,) or (n, F): of numbers, or objects where they are not."""
    takes_nan = encoding.takes_nan
    if isinstance(row, np.ma.MaskedArray):
        return _unmasked(row, refuse, takes_nan)
    if isinstance(row, np.ndarray) and (row.dtype != object or not row.ndim):
        return row
    inner = [listed(step, encoding.column) for step in row]
    if inner and all(isinstance(step, Mapping) for step in inner):
        inner = _of_records(inner, refuse, encoding)
    nested = [
        isinstance(step, list | tuple) or (isinstance(step, np.ndarray) and step.ndim > 0)
        for step in inner
    ]
    if any(nested):
        if not all(nested):
            raise refuse("has a null" if any(map(is_null, inner)) else "is ragged")
        if len({len(step) for step in inner}) > 1:
            raise refuse("has steps of different length")
        levelled = _levelled([value for step in inner for value in step], refuse, takes_nan)
        if levelled.ndim > 1:
            raise refuse("has 3 levels of lists or more; allowed: steps, or steps of numbers,")
        return levelled.reshape(len(inner), -1)
    return _levelled(inner, refuse, takes_nan)


def _of_records(steps: list[Any], refuse: Refuse, encoding: Encoding) -> list[list[Any]]:
    """Their numbers in the order of the file's fields, or as `plain` has them, by name."""
    fields = encoding.fields or tuple(sorted(steps[0], key=str))
    for step in steps:
        if set(step) != set(fields):
            raise refuse(f"has a step of {of_fields(sorted(step, key=str), fields)},")
    return [[step[name] for name in fields] for step in steps]


def _unmasked(row: np.ma.MaskedArray, refuse: Refuse, takes_nan: bool) -> np.ndarray:
    """The values of an array that says which of them are none."""
    if not np.ma.getmaskarray(row).any():
        return row.data
    if not takes_nan or row.dtype.kind not in "iuf":
        raise refuse("has a null")
    return np.ma.filled(row.astype(np.float64), np.nan)


def _levelled(values: list[Any], refuse: Refuse, takes_nan: bool) -> np.ndarray:
    is_text = any(isinstance(value, str) for value in values)
    if is_text or takes_nan:  # a text that is missing is NaN in some tables
        values = [None if isinstance(v, float) and np.isnan(v) else v for v in values]
    if any(map(is_null, values)):
        if is_text or not takes_nan:
            raise refuse("has a null")
        values = [np.nan if is_null(value) else value for value in values]
    if is_text and not all(isinstance(value, str) for value in values):
        raise refuse("mixes text and numbers")
    try:
        values = [float(v) if isinstance(v, Decimal | Fraction) else v for v in values]
        found = _array(values)
        if found.dtype == object and all(isinstance(v, Number) for v in values):
            found = np.array([float(value) for value in values])  # integers beyond 64 bits
    except OverflowError:
        raise refuse("has a number beyond float32") from None
    except (ValueError, TypeError):
        odd = any(isinstance(value, Decimal) for value in values)
        raise refuse("has NaN or infinity" if odd else "is ragged") from None
    return found


def _array(values: list[Any]) -> np.ndarray:
    """As NumPy has them, but for whole numbers past 2^63, which it would round beside others."""
    found = np.asarray(values)
    is_whole = found.dtype.kind == "f" and all(isinstance(v, int | np.integer) for v in values)
    if values and is_whole and min(values) >= 0 and max(values) < 2**64:
        return np.array(values, np.uint64)
    return found


def _require_numbers(
    values: np.ndarray, refuse: Refuse, missing: Missing | None = None
) -> np.ndarray:
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "iuf":
        kind = "text" if values.dtype.kind in "US" else str(values.dtype)
        if values.dtype == object:
            kind = type(values.flat[0]).__name__
        raise refuse(f"holds {kind}; allowed: numbers;")
    if not np.isfinite(_known(values, missing)).all():
        raise refuse("has NaN or infinity")
    return values


def _numbers(values: np.ndarray, refuse: Refuse, missing: Missing | None) -> np.ndarray:
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


def _tokens(values: np.ndarray, steps: TokenSteps, refuse: Refuse) -> np.ndarray:
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


def _symbols(values: np.ndarray, steps: SymbolSteps, refuse: Refuse) -> np.ndarray:
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
