"""How far back each answer needs inputs, as a column says, or as far as its row goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from trainables.encoding.plain import is_list
from trainables.tasks.asked.places import Places
from trainables.tasks.rows.labels import FractionError, whole
from trainables.tasks.rows.reading import Rows


def lags_of(
    rows: Rows, places: Places, name: str, asked: Bool[np.ndarray, " L"] | None
) -> Int[np.ndarray, " N"]:
    """The lag of each answer, from the column that says it: at least 1, and not before its row.

    Args:
        rows: all of them; a row's lag is that of each of its answers
        places: where they are asked
        name: of the column
        asked: which of the labels are asked for, where a row has a list of them, which the lags
            may be as well; else None

    Raises:
        ValueError: if the column is not of integers, or a lag leads out of its row.

    """
    column, where = rows.columns["lag"], f"lag: {name!r} of {rows.file}"
    of_lag: Sequence[int] | np.ndarray = np.arange(len(rows))
    is_each = is_list(column.type)
    if is_each:
        if asked is None:
            raise ValueError(f"{where} holds {column.type}; allowed: integers")
        column, of_lag = _of_labels(column, where, rows, places, asked), places.of_row
    try:
        column = whole(column, where, of_lag)
    except FractionError as error:
        raise ValueError(f"{error}; allowed: integers") from None
    if not pa.types.is_integer(column.type):
        raise ValueError(f"{where} holds {column.type}; allowed: integers")
    lags = column.to_numpy(zero_copy_only=False).astype(np.int64)
    lags = lags if is_each else lags[places.of_row]
    beyond = (lags < 1) | (lags >= rows.lengths[places.of_row] - places.back)
    if beyond.any():
        answer = int(np.argmax(beyond))
        row = places.of_row[answer]
        at = ""
        if asked is not None:
            at = f" for the answer at its step {rows.lengths[row] - places.back[answer]}"
        raise ValueError(
            f"{where} is {lags[answer]} in row {row}{at}, whose sequence has"
            f" {rows.lengths[row]} steps; allowed: at least 1 and less than the steps"
            f"{' up to the answer' if at else ''}"
        )
    return lags


def _of_labels(
    column: pa.Array, where: str, rows: Rows, places: Places, asked: Bool[np.ndarray, " L"]
) -> pa.Array:
    """Of lists that are one lag a label, those of the answers."""
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    wrong = lengths != rows.lengths
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{where} has {lengths[row]} lags for {rows.lengths[row]} labels in row {row}"
        )
    flat = pc.list_flatten(column).filter(pa.array(asked))
    if flat.null_count:
        answer = int(np.argmax(flat.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(
            f"{where} has a null in row {places.of_row[answer]}, for a label that is asked for"
        )
    return flat
