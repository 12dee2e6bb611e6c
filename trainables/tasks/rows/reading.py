"""Sequences of Parquet files: checked once, then at hand row by row.

The files are read one after the other, a few rows at a time, and only the columns asked for. The
numbers are kept flat, in the files' own number type: in memory while they are few, in an unnamed
temporary file once they are many, so that any row is as near as any other, in whatever order the
files hold them: memory does not grow with the numbers, only with the rows, by about a hundred
bytes each.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int, Num, UInt64

from trainables.encoding.plain import fields
from trainables.tasks.layouts.ids import as_read
from trainables.tasks.layouts.layout import (
    SEQUENCE,
    Layout,
    cut,
    gathered,
    is_sequence,
    joined,
    scattered,
)
from trainables.tasks.layouts.symbols import Spelled, Symbols, holds_text
from trainables.tasks.rows.buckets import local
from trainables.tasks.rows.files import File, Stamp, columns_of, files_of, stamp
from trainables.tasks.rows.on_disk import OnDisk
from trainables.tasks.rows.steps import Steps, steps_of
from trainables.tasks.split.splitting import row_hashes

AS_LISTS = Layout()

IN_MEMORY_BYTES = 2**28
"""Numbers of more bytes than this stay in a temporary file."""

STEPS_AT_ONCE = 2**20
"""Steps times features of one block of a pass over all rows."""


@dataclass(frozen=True, eq=False)
class Rows:
    """R sequences.

    Attributes:
        file: the file or folder they come from, for errors
        values: the F numbers of every step (N, F), or its symbol's text (N, 1), one row after
            the other
        ends: the step behind the last of each row (R,)
        lengths: steps of each row (R,), at least 1
        hashes: of each row's sequence (R,): equal sequences, equal hashes
        columns: the other columns by key of the configuration, (R,) each, without nulls
        scattered: of groups whose steps are in the files' order, those with others' between
        fields: of steps that are records, the names of their values, in order

    """

    file: Path
    values: Num[np.ndarray, "N F"] | OnDisk | Spelled
    ends: Int[np.ndarray, " R"]
    lengths: Int[np.ndarray, " R"]
    hashes: UInt64[np.ndarray, " R"]
    columns: Mapping[str, pa.Array]
    scattered: int = 0
    fields: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def longest(self) -> int:
        """Steps of the longest row."""
        return int(self.lengths.max())

    def aligned(
        self, rows: Int[np.ndarray, " B"], steps: int
    ) -> tuple[Num[np.ndarray, "B n F"], Bool[np.ndarray, "B n"]]:
        """The rows asked for, all ending at the last of n = ``steps``, and which steps are real."""
        lengths = np.minimum(self.lengths[rows], steps)
        values = np.zeros((len(rows), steps, self.values.shape[1]), self.values.dtype)
        for row, (end, length) in enumerate(zip(self.ends[rows], lengths, strict=True)):
            values[row, steps - length :] = self.values[int(end - length) : int(end)]
        return values, np.arange(-steps, 0) >= -lengths[:, None]

    def whole(self, rows: Int[np.ndarray, " B"]) -> Num[np.ndarray, "n F"]:
        """All steps of the rows asked for, one row after the other."""
        ends, lengths = self.ends[rows].tolist(), self.lengths[rows].tolist()
        spans = zip(ends, lengths, strict=True)
        return np.concatenate([self.values[end - length : end] for end, length in spans])

    def windows(
        self, rows: Int[np.ndarray, " B"], starts: Int[np.ndarray, " B"], steps: int
    ) -> Num[np.ndarray, "B n F"]:
        """n = ``steps`` of each row asked for, from the step of it where the window starts."""
        firsts = (self.ends[rows] - self.lengths[rows] + starts).tolist()
        return np.stack([self.values[first : first + steps] for first in firsts])

    def steps_of(self, chosen: Bool[np.ndarray, " R"]) -> Iterator[Num[np.ndarray, "n F"]]:
        """The steps of the chosen rows, in the files' order, a bounded number of them at a time."""
        at_once = max(1, STEPS_AT_ONCE // self.values.shape[1])
        first = 0
        while first < len(self):
            begin = int(self.ends[first] - self.lengths[first])
            last = max(first + 1, int(np.searchsorted(self.ends, begin + at_once, side="right")))
            block = self.values[begin : self.ends[last - 1]]
            yield block[np.repeat(chosen[first:last], self.lengths[first:last])]
            first = last


def read_rows(path: Path | str, columns: Mapping[str, str], layout: Layout = AS_LISTS) -> Rows:
    """The rows of a Parquet file, or of a folder of them.

    Args:
        path: the file or folder, or the address of one in a bucket
        columns: key of the configuration -> column; ``sequence`` is one of the keys, others are
            as `sequence_keys` calls them; ``group_by`` and ``order_by`` are of a step a row
        layout: what is made of the columns

    Raises:
        ValueError: naming the file, and the column and row where there is one, if a file is
            missing, cut off, no Parquet file, or none has rows; if a column is not there, or of
            another type than in the files before; if a value is null; if a sequence is empty,
            ragged, or holds nulls, NaN or infinity. Rows count from 0 in each file.

    """
    there = local(path)
    return _read(there, tuple(columns.items()), layout, stamp(there))


@functools.lru_cache(maxsize=2)
def _read(path: Path, columns: tuple[tuple[str, str], ...], layout: Layout, stamp: Stamp) -> Rows:
    """Kept for the next trial of this process, while the files are as they were."""
    reader = _Reader(layout)
    with TemporaryFile() as unpacked:
        for file in files_of(path):
            reader.read(file, dict(columns), unpacked)
        reader.finish(path, dict(columns), unpacked)
        if not reader.lengths:
            raise ValueError(f"path: {path} has no rows")
        kept = _kept(unpacked, reader)
    values = Spelled(kept, reader.symbols.names) if reader.symbols else kept
    lengths = np.concatenate(reader.lengths)
    return Rows(
        file=path,
        values=values,
        ends=np.cumsum(lengths),
        lengths=lengths,
        hashes=np.concatenate(reader.hashes),
        columns={key: pa.concat_arrays(parts) for key, parts in reader.columns.items()},
        scattered=reader.scattered,
        fields=reader.fields,
    )


class _Reader:
    """What was read so far."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.symbols = layout, Symbols()
        self.lengths: list[Int[np.ndarray, " R"]] = []
        self.hashes: list[UInt64[np.ndarray, " R"]] = []
        self.columns: dict[str, list[pa.Array]] = {}
        self.features = self.num_bytes = self.scattered = 0
        self.dtype = np.dtype(np.float64)
        self.fields: tuple[str, ...] = ()
        self._first: Path | None = None
        self._types: dict[str, pa.DataType] = {}
        self._long: list[pa.Table] = []

    def read(self, file: File, columns: Mapping[str, str], unpacked: IO[bytes]) -> None:
        """Take up a file: its numbers go to ``unpacked``."""
        first_row = 0
        name = f"{_sequence(columns)} of {file.path}"
        for batch in columns_of(file, columns, self.layout.text == "symbols"):
            self._require_types(file.path, batch, columns)
            self.fields = fields(batch[SEQUENCE].type)
            held = {
                key: as_read(column, key, f"{columns[key]!r} of {file.path}", first_row)
                for key, column in batch.items()
            }
            if self.layout.is_long({key: column.type for key, column in held.items()}):
                self._long.append(pa.table(held))
            else:
                rows = joined(held, name, first_row)
                self._take(rows, columns, file.path, first_row, unpacked)
            first_row += len(held[SEQUENCE])

    def finish(self, path: Path, columns: Mapping[str, str], unpacked: IO[bytes]) -> None:
        """Take up what had to be seen as a whole: rows that are steps of groups."""
        if self._long:
            table = pa.concat_tables(self._long)
            if len(table):
                name = f"{_sequence(columns)} of {path}"
                self.scattered = scattered(table)
                made = gathered(table, columns, name, self.layout.of_steps)
                self._take(made, columns, path, 0, unpacked)

    def _take(
        self,
        batch: Mapping[str, pa.Array],
        columns: Mapping[str, str],
        file: Path,
        first_row: int,
        unpacked: IO[bytes],
    ) -> None:
        """Take up some rows, of one sequence each."""
        steps = self._steps_of(batch[SEQUENCE], f"{_sequence(columns)} of {file}", first_row)
        pieces = -(-steps.lengths // self.layout.cut) if self.layout.cut else 1
        of_row = np.repeat(np.arange(len(steps.lengths)), pieces)
        for key, column in batch.items():
            if key != SEQUENCE:
                _require_no_null(column, f"{key}: {columns[key]!r} of {file}", first_row)
                taken = column.take(pa.array(of_row)) if self.layout.cut else column
                self.columns.setdefault(key, []).append(taken)
        steps = cut(steps, self.layout.cut) if self.layout.cut else steps
        self.lengths.append(steps.lengths)
        self.hashes.append(row_hashes(self.symbols.by_spelling(steps) if self.symbols else steps))
        self.num_bytes += unpacked.write(np.ascontiguousarray(steps.values).data)
        self.features, self.dtype = steps.values.shape[1], steps.values.dtype

    def _steps_of(self, column: pa.Array, name: str, first_row: int) -> Steps:
        text = self.layout.text
        if text == "characters" or (text == "symbols" and holds_text(column.type)):
            return self.symbols.steps_of(column, name, first_row, text)
        return steps_of(column, name, first_row, self.features, self.layout.missing)

    def _require_types(
        self, file: Path, batch: Mapping[str, pa.Array], columns: Mapping[str, str]
    ) -> None:
        """All files' columns are of the first one's types."""
        self._first = self._first or file
        for key, column in batch.items():
            known = self._types.setdefault(key, column.type)
            if column.type != known:
                raise ValueError(
                    f"{key}: {columns[key]!r} of {file} holds {column.type}, but that of"
                    f" {self._first} {known}; the files of a folder must agree"
                )


def _sequence(columns: Mapping[str, str]) -> str:
    return ", ".join(repr(name) for key, name in columns.items() if is_sequence(key))


def _require_no_null(column: pa.Array, name: str, first_row: int) -> None:
    if column.null_count:
        row = first_row + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(f"{name} has a null in row {row}")


def _kept(unpacked: IO[bytes], reader: _Reader) -> Num[np.ndarray, "N F"] | OnDisk:
    """What was written: in memory, or in the file, which lives on without a name."""
    unpacked.flush()
    steps = reader.num_bytes // reader.dtype.itemsize // reader.features
    on_disk = OnDisk(unpacked.fileno(), (steps, reader.features), reader.dtype)
    return on_disk if reader.num_bytes > IN_MEMORY_BYTES else on_disk[:]
