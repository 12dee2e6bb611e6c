"""Labelled sequences of a Parquet file: checked once, then at hand row by row.

The file is read through a memory map, a few rows of a row group at a time, and only the two
columns asked for. The numbers are kept flat, in the file's own number type: in memory while they
are few, in an unnamed temporary file behind a memory map once they are many, so that memory does
not grow with the data and any row is as near as any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Int, Num, UInt64

from trainables.tasks.rows.splitting import row_hashes
from trainables.tasks.rows.steps import steps_of

IN_MEMORY_BYTES = 2**28
"""Numbers of more bytes than this are kept in a temporary file."""

ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Rows:
    """R labelled sequences.

    Attributes:
        file: where they come from, for errors
        values: the F numbers of every step (N, F), one row after the other
        ends: the step behind the last of each row (R,)
        lengths: steps of each row (R,), at least 1
        hashes: of each row's sequence (R,): equal sequences, equal hashes
        targets: the target column, without nulls

    """

    file: Path
    values: Num[np.ndarray, "N F"]
    ends: Int[np.ndarray, " R"]
    lengths: Int[np.ndarray, " R"]
    hashes: UInt64[np.ndarray, " R"]
    targets: pa.Array

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def longest(self) -> int:
        """Steps of the longest row."""
        return int(self.lengths.max())

    def aligned(
        self, rows: Int[np.ndarray, " B"]
    ) -> tuple[Num[np.ndarray, "B n F"], Bool[np.ndarray, "B n"]]:
        """The rows asked for, all ending at the last of n = `longest` steps, and which are real."""
        back = np.arange(-self.longest, 0)
        real = back >= -self.lengths[rows][:, None]
        steps = self.ends[rows][:, None] + np.where(real, back, -1)
        return self.values[steps], real

    def steps_of(self, chosen: Bool[np.ndarray, " R"]) -> Iterator[Num[np.ndarray, "n F"]]:
        """The steps of the chosen rows, in the file's order, a bounded number of rows at a time."""
        for first in range(0, len(self), ROWS_AT_ONCE):
            rows = slice(first, first + ROWS_AT_ONCE)
            lengths, ends = self.lengths[rows], self.ends[rows]
            block = self.values[ends[0] - lengths[0] : ends[-1]]
            yield block[np.repeat(chosen[rows], lengths)]


def read_rows(file: Path, sequence: str, target: str) -> Rows:
    """The rows of a Parquet file.

    Raises:
        ValueError: naming the file, and the column and row where there is one, if the file is
            missing, cut off, no Parquet file or without rows; if a column is not there or of
            another type; if a target is null; if a sequence is null, empty, ragged, or holds
            nulls, NaN or infinity. Rows count from 0.

    """
    lengths, hashes, targets = [], [], []
    features = first_row = num_bytes = 0
    dtype = np.dtype(np.float64)
    with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
        for batch in _batches(file, sequence, target):
            steps = steps_of(batch.column(0), f"{sequence!r} of {file}", first_row, features)
            targets.append(_without_nulls(batch.column(1), target, file, first_row))
            lengths.append(steps.lengths)
            hashes.append(row_hashes(steps))
            num_bytes += spool.write(np.ascontiguousarray(steps.values).data)
            features, dtype = steps.values.shape[1], steps.values.dtype
            first_row += len(steps.lengths)
        values = _kept(spool, num_bytes, dtype)
    all_lengths = np.concatenate(lengths)
    return Rows(
        file=file,
        values=values.reshape(-1, features),
        ends=np.cumsum(all_lengths),
        lengths=all_lengths,
        hashes=np.concatenate(hashes),
        targets=pa.concat_arrays(targets),
    )


def _batches(file: Path, sequence: str, target: str) -> Iterator[pa.RecordBatch]:
    """The two columns, at most `ROWS_AT_ONCE` rows at a time."""
    if not file.exists():
        raise ValueError(f"path: {file} does not exist; allowed: a Parquet file")
    if file.is_dir():
        raise ValueError(f"path: {file} is a folder; allowed: a Parquet file")
    try:
        with pq.ParquetFile(file, memory_map=True) as parquet:
            _require_columns(parquet.schema_arrow, file, {"sequence": sequence, "target": target})
            if parquet.metadata.num_rows == 0:
                raise ValueError(f"path: {file} has no rows")
            for batch in parquet.iter_batches(
                ROWS_AT_ONCE, columns=[sequence, target], use_threads=False
            ):
                yield batch.select([sequence, target])
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"path: {file} cannot be read as a Parquet file: {reason}") from None


def _require_columns(schema: pa.Schema, file: Path, columns: dict[str, str]) -> None:
    for key, column in columns.items():
        if schema.names.count(column) != 1:
            allowed = ", ".join(schema.names)
            raise ValueError(f"{key}: {column!r} is not a column of {file}; allowed: {allowed}")
    if columns["sequence"] == columns["target"]:
        raise ValueError(f"target: {columns['target']!r} of {file} is the sequence itself")


def _without_nulls(column: pa.Array, name: str, file: Path, first_row: int) -> pa.Array:
    """The column, its values written out where it is stored as a dictionary."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.null_count:
        row = first_row + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(f"target: {name!r} of {file} has a null in row {row}")
    return column


def _kept(
    spool: SpooledTemporaryFile[bytes], num_bytes: int, dtype: np.dtype[Any]
) -> Num[np.ndarray, " N"]:
    """What was written, from memory or behind a memory map that outlives the file's name."""
    if num_bytes > IN_MEMORY_BYTES:
        spool.flush()
        return np.memmap(spool, dtype=dtype, mode="r")
    spool.seek(0)
    return np.frombuffer(spool.read(), dtype=dtype)
