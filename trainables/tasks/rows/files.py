"""Which files a path names, and their columns a few rows at a time.

A path is a file, a folder of files at any depth, a pattern of either (``data/2024-*``), or several
of them; folders called ``key=value`` are a hive layout, whose keys are columns of the files below
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.messages import one_line
from trainables.tasks.layouts.finding import Found, LeftOut, find, names_of
from trainables.tasks.layouts.hive import hive_keys, key_column, typed_keys
from trainables.tasks.layouts.lakes import (
    below,
    delta_files,
    is_delta,
    require_outside,
    require_plain,
)
from trainables.tasks.layouts.layout import is_sequence
from trainables.tasks.layouts.patterns import alternatives, is_pattern, matches
from trainables.tasks.layouts.tables import batches_of, format_of, schema_of

ROWS_AT_ONCE = 512
BYTES_AT_ONCE = 2**24
"""Of all columns, as the file states their size: long rows are read fewer at a time."""

READ_AHEAD_BYTES = 2**20

SIZE_COMPLAINT = "Expected all lists to be of size"
"""What pyarrow says of a null among lists of a fixed size, which it writes and does not read."""

Stamp = tuple[tuple[str, int, int], ...]
"""What tells whether files have changed: name, bytes and time of each."""


@dataclass(frozen=True)
class File:
    """A Parquet file with the columns that its folders' names add to it; None for a null."""

    path: Path
    keys: Mapping[str, int | str | None]


@dataclass(frozen=True)
class Files:
    """What a path names.

    Attributes:
        files: that are read, in the order of their names
        left_out: what lies beside them and is not, each with why

    """

    files: Sequence[File]
    left_out: LeftOut


def files_of(path: Path) -> Sequence[File]:
    """The files that are read, as of `all_of`, which says what it raises."""
    return all_of(path).files


def all_of(path: Path) -> Files:
    """The file, or every Parquet file below the folder, or those that a pattern names.

    A key of a hive layout is a column of integers if all of its values are some as one writes them
    (``01`` is text, and so is what 64 bits do not hold), else of text.

    Raises:
        ValueError: in one line, if there is nothing, no file in the folder, or a table with a log
            of which files count (`lakes`)

    """
    path = path.expanduser()
    parts = []
    for each in alternatives(path):
        try:
            parts.append(_found(each))
        except OSError as error:
            raise ValueError(f"path: {each} cannot be read: {one_line(error)}") from None
    left_out = [left for _, part in parts for left in part.left_out]
    taken: dict[Path, Mapping[str, str | None]] = {}
    seen: dict[tuple[int, int], Path] = {}
    for root, file in dict.fromkeys((root, file) for root, part in parts for file in part.taken):
        stat = file.stat()
        first = seen.setdefault((stat.st_dev, stat.st_ino), file)
        if first == file:
            taken[file] = hive_keys(file.relative_to(root))
        else:
            left_out.append((file, f"is {first} once more"))
    files = [File(*each) for each in zip(taken, typed_keys(list(taken.values())), strict=True)]
    return Files(files, tuple(left_out))


def _found(path: Path) -> tuple[Path, Found]:
    """The folder that keys count from, and the files."""
    if is_delta(path):
        root, files = delta_files(path)
        return root, Found(tuple(files), ())
    if is_pattern(path):
        return _matching(path)
    if not path.exists():
        raise ValueError(
            f"path: {path} does not exist; allowed: a Parquet file or a folder of them"
        )
    require_outside(path)
    if path.is_file():
        return path.parent, Found((path,), ())
    if not path.is_dir():
        raise ValueError(f"path: {path} is no regular file; allowed: a file or a folder of them")
    require_plain(below(path), str(path))
    found = find(path)
    if not found.taken:
        others = f" ({names_of(found.left_out)})" if found.left_out else ""
        raise ValueError(f"path: {path} is a folder without a .parquet file{others}")
    return path, found


def _matching(pattern: Path) -> tuple[Path, Found]:
    root = next(folder for folder in pattern.parents if not has_magic(str(folder)))
    found = [each for each in matches(pattern) if each.is_file() or find(each).taken]
    parts = [_found(each)[1] for each in found]
    taken = dict.fromkeys(file for part in parts for file in part.taken)
    if not taken:
        raise ValueError(f"path: nothing is at {pattern}; allowed: a pattern of Parquet files")
    return root, Found(tuple(sorted(taken)), tuple(out for part in parts for out in part.left_out))


def stamp(path: Path) -> Stamp:
    """The files of ``path`` as they are now; raises as `files_of`."""
    stats = [(str(file.path), file.path.stat()) for file in files_of(path)]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def columns_of(
    file: File, columns: Mapping[str, str], of_symbols: bool = False
) -> Iterator[dict[str, pa.Array]]:
    """The columns asked for, by key of the configuration, a bounded number of bytes at a time.

    Where sequences are ``of_symbols``, a CSV's are numbers only where they are written as such.

    Read through a small buffer and not through a memory map, whose pages would count as memory.
    Columns that are stored as a dictionary are written out.

    Raises:
        ValueError: if a column is not there, is the sequence once more, or the file is broken.

    """
    path, what = file.path, format_of(file.path.name) or "Parquet"
    try:
        for batch in _batches(file, columns, of_symbols):
            batch.validate(full=True)  # else text that is no UTF-8 is found where it is decoded
            own = {name: _written_out(batch.column(name)) for name in batch.schema.names}
            yield {
                key: own[name]
                if name not in file.keys
                else key_column(key, name, file.keys[name], len(batch), own.get(name), path)
                for key, name in columns.items()
            }
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = one_line(error)
        if SIZE_COMPLAINT in reason and what == "Parquet":
            _refuse_null_row(file, columns)
        raise ValueError(f"path: {path} cannot be read as a {what} file: {reason}") from None


def _batches(file: File, columns: Mapping[str, str], of_symbols: bool) -> Iterator[pa.RecordBatch]:
    names = list(dict.fromkeys(columns.values()))
    if format_of(file.path.name) is not None:
        schema = schema_of(file.path)
        _require(file, schema, columns)
        stored = [name for name in names if name in schema.names]
        as_written = [
            name
            for key, name in columns.items()
            if (of_symbols or not is_sequence(key)) and key != "order_by"
        ]
        yield from batches_of(file.path, stored, as_written, ROWS_AT_ONCE)
        return
    with pq.ParquetFile(
        file.path, buffer_size=READ_AHEAD_BYTES, page_checksum_verification=True
    ) as parquet:
        _require(file, parquet.schema_arrow, columns)
        stored = [name for name in names if name in parquet.schema_arrow.names]
        rows = 0
        for batch in parquet.iter_batches(
            _rows_at_once(parquet.metadata), columns=stored, use_threads=False
        ):
            rows += len(batch)
            yield batch
        if rows != parquet.metadata.num_rows:
            raise pa.ArrowInvalid(f"it has {rows} rows, but {parquet.metadata.num_rows} by its end")


def _refuse_null_row(file: File, columns: Mapping[str, str]) -> None:
    """Name the row of a list of fixed size that is null: pyarrow cannot read it, nor name it."""
    for key, name in columns.items():
        with pq.ParquetFile(file.path, page_checksum_verification=True) as parquet:
            if name not in parquet.schema_arrow.names:
                continue
            row = 0
            try:
                for _ in parquet.iter_batches(1, columns=[name], use_threads=False):
                    row += 1
            except pa.ArrowInvalid as error:
                if SIZE_COMPLAINT in str(error):
                    raise ValueError(
                        f"{key}: {name!r} of {file.path} has a null in row {row}"
                    ) from None


def _require(file: File, schema: pa.Schema, columns: Mapping[str, str]) -> None:
    names = [*(name for name in schema.names if name not in file.keys), *file.keys]
    for key, column in columns.items():
        if names.count(column) != 1 or (is_sequence(key) and column in file.keys):
            raise ValueError(
                f"{key}: {column!r} is not a column of {file.path}; allowed: {', '.join(names)}"
            )
        if any(
            is_sequence(other) and column == columns[other] for other in columns if other != key
        ):
            raise ValueError(f"{key}: {column!r} of {file.path} is the sequence itself")


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    """At most `ROWS_AT_ONCE`, fewer if they would be more than `BYTES_AT_ONCE`.

    What a group says of each of its columns is not asked: where that is damaged, pyarrow ends the
    process.
    """
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    a_row = sum(group.total_byte_size for group in groups) // max(1, metadata.num_rows)
    return max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // max(1, a_row)))


def _written_out(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
