"""Lists of labels: which of them are asked for, and at which steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from trainables.encoding.plain import is_list
from trainables.tasks.asked.places import Places
from trainables.tasks.rows.reading import Rows


@dataclass(frozen=True, eq=False)
class Asked:
    """The answers that rows are asked for.

    Attributes:
        labels: what is right, one an answer (N,), without nulls; of several columns, of the first
        places: where they are asked
        chosen: of lists, which of all their labels those are (L,); else None
        gap: steps of the answers after the first, behind the gap
        is_within: whether they are asked at the rows' own steps
    """

    labels: pa.Array
    places: Places
    chosen: Bool[np.ndarray, " L"] | None = None
    gap: int = 0
    is_within: bool = False

    @property
    def is_several(self) -> bool:
        """Whether a row may have several answers, and not one."""
        return self.chosen is not None or self.gap > 0


def one_a_row(labels: pa.Array) -> Asked:
    """One answer a row, at its last step."""
    rows = len(labels)
    return Asked(labels, Places(np.arange(1, rows + 1), np.zeros(rows, np.int64)))


def one_a_column(labels: pa.Array, columns: int) -> Asked:
    """Of each row one answer a column, one after the other."""
    rows = len(labels)
    back = np.tile(np.arange(columns - 1, -1, -1), rows)
    return Asked(labels, Places(columns * np.arange(1, rows + 1), back), gap=columns - 1)


def of_lists(
    rows: Rows,
    name: str,
    where: Literal["within", "after"],
    mask: str | None,
    ignore: int | str | None,
) -> Asked:
    """Those labels of each row's list that are asked for.

    Args:
        rows: with lists of labels, and of booleans where there is a mask
        name: the column of labels and its file, for errors
        where: ``within``, one a step; or ``after``, one after the other, as many in each row
        mask: null, or the column that says which labels are asked for
        ignore: a label that stands for none; so does null, and NaN

    Raises:
        ValueError: if lists are not as long as they have to be, a mask is none, or nothing is
            asked at all.

    """
    column = rows.columns["target"]
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
    if where == "within":
        _require_a_step_each(lengths, rows, name)
    elif (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        raise ValueError(
            f"target: {name} has {lengths[row]} labels in row {row} and {lengths[0]} in row 0;"
            " after rows, as many are asked in each: null for one that is not"
        )
    flat = pc.list_flatten(column)
    chosen = ~pc.is_null(flat, nan_is_null=True).to_numpy(zero_copy_only=False)
    if ignore is not None:
        chosen &= ~_are(flat, ignore, name)
    if mask is not None:
        chosen &= _masked(rows, lengths, f"mask: {mask!r} of {rows.file}")
    if not chosen.any():
        raise ValueError(f"target: {name} asks for nothing: every label is null, ignored or masked")
    firsts = np.cumsum(lengths) - lengths
    position = np.arange(len(flat)) - np.repeat(firsts, lengths)
    back = np.repeat(lengths, lengths) - 1 - position
    of_row = np.repeat(np.arange(len(rows)), lengths)
    ends = np.cumsum(np.bincount(of_row[chosen], minlength=len(rows)))
    labels = flat.filter(pa.array(chosen))
    is_within = where == "within"
    gap = 0 if is_within else int(lengths[0]) - 1
    return Asked(labels, Places(ends, back[chosen]), chosen, gap, is_within)


def _require_a_step_each(lengths: np.ndarray, rows: Rows, name: str) -> None:
    wrong = lengths != rows.lengths
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"target: {name} has {lengths[row]} labels for the {rows.lengths[row]} steps of row"
            f" {row}; allowed: one a step, null where none is asked for, or `asked: after`"
        )


def _are(flat: pa.Array, ignore: int | str, name: str) -> Bool[np.ndarray, " L"]:
    """Which labels are the one that stands for none."""
    is_text = pa.types.is_string(flat.type) or pa.types.is_large_string(flat.type)
    is_number = pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type)
    try:
        if not (is_text if isinstance(ignore, str) else is_number):
            raise pa.ArrowInvalid("of another type")
        same = pc.equal(flat, pa.scalar(ignore).cast(flat.type))
    except pa.ArrowException:
        raise ValueError(
            f"ignore: {ignore!r} is not allowed; the labels of {name} are {flat.type}"
        ) from None
    return same.fill_null(False).to_numpy(zero_copy_only=False)


def _masked(rows: Rows, lengths: np.ndarray, where: str) -> Bool[np.ndarray, " L"]:
    """Which labels the mask says are asked for."""
    column = rows.columns["mask"]
    if not is_list(column.type):
        raise ValueError(f"{where} holds {column.type}; allowed: lists of booleans, as the labels")
    own = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    if (own != lengths).any():
        row = int(np.argmax(own != lengths))
        raise ValueError(
            f"{where} has {own[row]} booleans for the {lengths[row]} labels of row {row}"
        )
    flat = pc.list_flatten(column)
    values = flat.to_numpy(zero_copy_only=False)
    is_flag = pa.types.is_boolean(flat.type) or pa.types.is_integer(flat.type)
    wrong = np.ones(len(flat), bool)
    if is_flag:
        wrong = pc.is_null(flat).to_numpy(zero_copy_only=False) | ~np.isin(values, (0, 1))
    if wrong.any():
        place = int(np.argmax(wrong))
        row = int(np.searchsorted(np.cumsum(lengths), place, side="right"))
        raise ValueError(
            f"{where} holds {flat[place].as_py()!r} in row {row}; allowed: true and false"
        )
    return values.astype(bool)
