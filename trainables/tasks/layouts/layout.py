"""How a file's columns are sequences: as text, over several columns, one step a row, or cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from trainables.encoding.plain import is_list, record
from trainables.tasks.rows.steps import Steps

SEQUENCE = "sequence"
TextKind = Literal["refused", "symbols", "characters"]


@dataclass(frozen=True)
class Layout:
    """What is to be made of the columns.

    Attributes:
        text: whether lists of text are symbols, or the characters of texts are
        cut: rows longer than so many steps are cut into rows of so many; 0 for none
        missing: values of a sequence that stand for nothing, as `steps_of` takes them
        of_steps: keys of columns that are lists of one value a step, as the sequence is

    """

    text: TextKind = "refused"
    cut: int = 0
    missing: tuple[float | str, ...] = ()
    of_steps: frozenset[str] = frozenset()

    def is_long(self, kinds: Mapping[str, pa.DataType]) -> bool:
        """Whether a row of the file is a step: it is grouped, ordered or cut as such."""
        grouped = "group_by" in kinds or "order_by" in kinds
        return grouped or (self.cut > 0 and not is_list(kinds[SEQUENCE]))


def sequence_keys(names: str | tuple[str, ...]) -> dict[str, str]:
    """Keys for one column of sequences or several: ``sequence``, ``sequence 2``, .."""
    first, *others = (names,) if isinstance(names, str) else names
    return {SEQUENCE: first, **{f"{SEQUENCE} {n}": name for n, name in enumerate(others, 2)}}


def is_sequence(key: str) -> bool:
    """Whether a column by this key is a sequence, or a channel of it."""
    return key.split(" ")[0] == SEQUENCE


def joined(batch: Mapping[str, pa.Array], name: str, first_row: int) -> dict[str, pa.Array]:
    """The same columns with one sequence.

    Several columns of lists are channels of its steps, several of numbers its steps.

    Raises:
        ValueError: if they are of different kinds, or their lists of different lengths

    """
    others = {key: column for key, column in batch.items() if not is_sequence(key)}
    parts = [column for key, column in batch.items() if is_sequence(key)]
    if len(parts) == 1:
        return {**others, SEQUENCE: parts[0]}
    if not any(is_list(part.type) for part in parts):
        return {**others, SEQUENCE: _record(parts, name)}
    if not all(is_list(part.type) for part in parts):
        kinds = ", ".join(dict.fromkeys(str(part.type) for part in parts))
        raise ValueError(f"sequence: {name} hold {kinds}; allowed: all lists, or none")
    for part in parts:
        _require_no_null(part, "sequence", name, first_row)
    lengths = [_lengths(part) for part in parts]
    for other in lengths[1:]:
        differs = np.flatnonzero(other != lengths[0])
        if len(differs):
            raise ValueError(
                f"sequence: {name} have lists of different length in row {first_row + differs[0]}"
            )
    steps = _record([pc.list_flatten(part) for part in parts], name)
    return {**others, SEQUENCE: _lists(lengths[0], steps)}


def gathered(
    table: pa.Table,
    columns: Mapping[str, str],
    name: str,
    of_steps: Collection[str] = (),
) -> dict[str, pa.Array]:
    """One row a group, with its steps in order, of a table that has one row a step.

    Args:
        table: by key of the configuration; ``group_by`` is one sequence's rows, all where it is
            not there, and ``order_by`` their order, else that of the table
        columns: by key, for errors
        name: the sequence's column and its file, for errors
        of_steps: keys of other columns that are lists of one value a step afterwards

    Raises:
        ValueError: if a group or an order is null, two steps of a group are of the same order, or
            another column changes within a group

    """
    keys = [key for key in ("group_by", "order_by") if key in table.column_names]
    for key in keys:
        _require_no_null(table[key].combine_chunks(), key, f"{columns[key]!r}", 0)
    if "order_by" in keys and not _is_ordered(table["order_by"].type):
        raise ValueError(
            f"order_by: {columns['order_by']!r} holds {table['order_by'].type}; allowed: numbers,"
            " dates, times"
        )
    if keys:
        table = table.take(pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys]))
    firsts = _firsts(table)
    lengths = np.diff(np.append(firsts, len(table)))
    is_first = np.zeros(len(table), dtype=bool)
    is_first[firsts] = True
    single = {key: table[key].combine_chunks() for key in table.column_names}
    for key, column in single.items():
        if is_sequence(key) or key == "group_by" or key in of_steps:
            continue
        same = _as_before(column)
        wrong = (same if key == "order_by" else ~same) & ~is_first
        if wrong.any():
            place = int(np.argmax(wrong))
            group = single["group_by"][place].as_py() if "group_by" in single else "all rows"
            value = column[place].as_py()
            what = f"is {value!r} twice" if key == "order_by" else f"changes (to {value!r})"
            raise ValueError(f"{key}: {columns[key]!r} {what} within the group {group!r}")
    steps = [column for key, column in single.items() if is_sequence(key)]
    for part in steps:
        if is_list(part.type):
            raise ValueError(
                f"sequence: {name} holds {part.type}, a sequence a row; without `group_by` and"
                " `order_by`, which are for a step a row, it is read"
            )
    made = {SEQUENCE: _lists(lengths, steps[0] if len(steps) == 1 else _record(steps, name))}
    kept = [key for key in single if not is_sequence(key) and key not in ("group_by", "order_by")]
    return made | {
        key: _lists(lengths, single[key]) if key in of_steps else single[key].take(pa.array(firsts))
        for key in kept
    }


def scattered(table: pa.Table) -> int:
    """Of groups without an order of their own, how many have others' steps between theirs."""
    if "group_by" not in table.column_names or "order_by" in table.column_names:
        return 0
    groups = table["group_by"].combine_chunks()
    begins = groups.filter(pa.array(~_as_before(groups)))
    counts = pc.value_counts(begins).field("counts")
    return int(pc.sum(pc.greater(counts, 1)).as_py() or 0)


def cut(steps: Steps, most: int) -> Steps:
    """The same steps in rows of ``most``, and what is left of each row in one more."""
    lengths = [
        [most] * (length // most) + [length % most] * (length % most > 0)
        for length in steps.lengths.tolist()
    ]
    return Steps(steps.values, np.array([each for row in lengths for each in row], dtype=np.int64))


def _is_ordered(kind: pa.DataType) -> bool:
    """Text is not: ``9`` follows ``10``."""
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind))


def _record(parts: list[pa.Array], name: str) -> pa.Array:
    made = record(parts)
    if made is None:
        kinds = ", ".join(dict.fromkeys(str(part.type) for part in parts))
        raise ValueError(
            f"sequence: {name} hold {kinds}; allowed: numbers that one type holds without loss"
        )
    return made


def _firsts(table: pa.Table) -> Int[np.ndarray, " G"]:
    """Where each group begins in a sorted table."""
    if "group_by" not in table.column_names:
        return np.zeros(min(1, len(table)), dtype=np.int64)
    return np.flatnonzero(~_as_before(table["group_by"].combine_chunks()))


def _as_before(column: pa.Array) -> np.ndarray:
    """Whether each value equals the one before it; nulls are equal (R,)."""
    coded = column.dictionary_encode(null_encoding="encode").indices.to_numpy()
    return np.append(False, coded[1:] == coded[:-1])[: len(column)]


def _lengths(lists: pa.Array) -> Int[np.ndarray, " R"]:
    return pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)


def _lists(lengths: Int[np.ndarray, " R"], steps: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), steps)


def _require_no_null(column: pa.Array, key: str, name: str, first_row: int) -> None:
    missing = np.flatnonzero(pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False))
    if len(missing):
        raise ValueError(f"{key}: {name} has a null in row {first_row + missing[0]}")
