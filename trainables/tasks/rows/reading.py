"""Sequences of Parquet files: checked once, then at hand row by row.

The files are read one after the other, a few rows at a time, and only the columns asked for. The
numbers are kept flat, in the files' own number type: in memory while they are few, in an unnamed
temporary file behind a memory map once they are many, so that any row is as near as any other, in
whatever order the files hold them. What was looked at there is let go of at once: memory does not
grow with the numbers, only with the rows, by about a hundred bytes each.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int, Num, UInt64

from trainables.tasks.rows.files import File, columns_of, files_of
from trainables.tasks.rows.splitting import row_hashes
from trainables.tasks.rows.steps import Steps, steps_of

IN_MEMORY_BYTES = 2**28
"""Numbers of more bytes than this are kept in a temporary file."""

STEPS_AT_ONCE = 2**20
"""Steps times features of one block of a pass over all rows."""


@dataclass(frozen=True)
class Rows:
    """R sequences.

    Attributes:
        file: the file or folder they come from, for errors
        values: the F numbers of every step (N, F), one row after the other
        ends: the step behind the last of each row (R,)
        lengths: steps of each row (R,), at least 1
        hashes: of each row's sequence (R,): equal sequences, equal hashes
        columns: the other columns by key of the configuration, (R,) each, without nulls
        mapped: the memory map that ``values`` lies behind; None if it is in memory

    """

    file: Path
    values: Num[np.ndarray, "N F"]
    ends: Int[np.ndarray, " R"]
    lengths: Int[np.ndarray, " R"]
    hashes: UInt64[np.ndarray, " R"]
    columns: Mapping[str, pa.Array]
    mapped: mmap.mmap | None = None

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
        back = np.arange(-steps, 0)
        real = back >= -self.lengths[rows][:, None]
        return self._gathered(self.ends[rows][:, None] + np.where(real, back, -1)), real

    def whole(self, rows: Int[np.ndarray, " B"]) -> Num[np.ndarray, "n F"]:
        """All steps of the rows asked for, one row after the other."""
        ends, lengths = self.ends[rows].tolist(), self.lengths[rows].tolist()
        spans = [np.arange(end - n, end) for end, n in zip(ends, lengths, strict=True)]
        return self._gathered(np.concatenate(spans))

    def windows(
        self, rows: Int[np.ndarray, " B"], starts: Int[np.ndarray, " B"], steps: int
    ) -> Num[np.ndarray, "B n F"]:
        """n = ``steps`` of each row asked for, from the step of it where the window starts."""
        first = self.ends[rows] - self.lengths[rows] + starts
        return self._gathered(first[:, None] + np.arange(steps))

    def steps_of(self, chosen: Bool[np.ndarray, " R"]) -> Iterator[Num[np.ndarray, "n F"]]:
        """The steps of the chosen rows, in the files' order, a bounded number of them at a time."""
        at_once = max(1, STEPS_AT_ONCE // self.values.shape[1])
        first = 0
        while first < len(self):
            begin = int(self.ends[first] - self.lengths[first])
            last = max(first + 1, int(np.searchsorted(self.ends, begin + at_once, side="right")))
            block = self.values[begin : self.ends[last - 1]]
            yield block[np.repeat(chosen[first:last], self.lengths[first:last])]
            self._let_go()
            first = last

    def _gathered(self, steps: Int[np.ndarray, "*shape"]) -> Num[np.ndarray, "*shape F"]:
        values: np.ndarray = self.values[steps]  # a copy
        self._let_go()
        return values

    def _let_go(self) -> None:
        if self.mapped is not None:
            self.mapped.madvise(mmap.MADV_DONTNEED)


def read_rows(path: Path, columns: Mapping[str, str]) -> Rows:
    """The rows of a Parquet file, or of a folder of them.

    Args:
        path: the file or folder
        columns: key of the configuration -> column; ``sequence`` is one of the keys

    Raises:
        ValueError: naming the file, and the column and row where there is one, if a file is
            missing, cut off, no Parquet file, or none has rows; if a column is not there, or of
            another type than in the files before; if a value is null; if a sequence is empty,
            ragged, or holds nulls, NaN or infinity. Rows count from 0 in each file.

    """
    reader = _Reader()
    with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
        for file in files_of(path):
            reader.read(file, columns, spool)
        if not reader.lengths:
            raise ValueError(f"path: {path} has no rows")
        values, mapped = _kept(spool, reader.num_bytes, reader.dtype)
    lengths = np.concatenate(reader.lengths)
    return Rows(
        file=path,
        values=values.reshape(-1, reader.features),
        ends=np.cumsum(lengths),
        lengths=lengths,
        hashes=np.concatenate(reader.hashes),
        columns={key: pa.concat_arrays(parts) for key, parts in reader.columns.items()},
        mapped=mapped,
    )


class _Reader:
    """What was read so far."""

    def __init__(self) -> None:
        self.lengths: list[Int[np.ndarray, " R"]] = []
        self.hashes: list[UInt64[np.ndarray, " R"]] = []
        self.columns: dict[str, list[pa.Array]] = {}
        self.features = self.num_bytes = 0
        self.dtype = np.dtype(np.float64)
        self._first: Path | None = None
        self._types: dict[str, pa.DataType] = {}

    def read(
        self, file: File, columns: Mapping[str, str], spool: SpooledTemporaryFile[bytes]
    ) -> None:
        """Take up a file: its numbers go to the spool."""
        first_row = 0
        for batch in columns_of(file, columns):
            self._require_types(file.path, batch, columns)
            name = f"{columns['sequence']!r} of {file.path}"
            steps = steps_of(batch.pop("sequence"), name, first_row, self.features)
            for key, column in batch.items():
                _require_no_null(column, f"{key}: {columns[key]!r} of {file.path}", first_row)
                self.columns.setdefault(key, []).append(column)
            self._add(steps, spool)
            first_row += len(steps.lengths)

    def _add(self, steps: Steps, spool: SpooledTemporaryFile[bytes]) -> None:
        self.lengths.append(steps.lengths)
        self.hashes.append(row_hashes(steps))
        self.num_bytes += spool.write(np.ascontiguousarray(steps.values).data)
        self.features, self.dtype = steps.values.shape[1], steps.values.dtype

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


def _require_no_null(column: pa.Array, name: str, first_row: int) -> None:
    if column.null_count:
        row = first_row + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(f"{name} has a null in row {row}")


def _kept(
    spool: SpooledTemporaryFile[bytes], num_bytes: int, dtype: np.dtype[Any]
) -> tuple[Num[np.ndarray, " N"], mmap.mmap | None]:
    """What was written, from memory or behind a memory map that outlives the file's name."""
    if num_bytes > IN_MEMORY_BYTES:
        spool.flush()
        mapped = mmap.mmap(spool.fileno(), num_bytes, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, dtype=dtype), mapped
    spool.seek(0)
    return np.frombuffer(spool.read(), dtype=dtype), None
