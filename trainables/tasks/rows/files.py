"""Which Parquet files a path names, and their columns a few rows at a time.

A path is a file, or a folder of files at any depth; folders called ``key=value`` are a hive layout,
whose keys are columns of the files below them. Names that begin with ``_`` or ``.`` are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 512
BYTES_AT_ONCE = 2**24
"""Of the columns asked for, as the file states their size: long rows are read fewer at a time."""

READ_AHEAD_BYTES = 2**20

Stamp = tuple[tuple[str, int, int], ...]
"""What tells whether files have changed: name, bytes and time of each."""


@dataclass(frozen=True)
class File:
    """A Parquet file with the columns that its folders' names add to it."""

    path: Path
    keys: Mapping[str, int | str]


def files_of(path: Path) -> Sequence[File]:
    """The file, or every ``.parquet`` file below the folder, in the order of their names.

    A key of a hive layout is a column of integers if all of its values are some, else of text.

    Raises:
        ValueError: if there is nothing, or no file in the folder.

    """
    if not path.exists():
        raise ValueError(
            f"path: {path} does not exist; allowed: a Parquet file or a folder of them"
        )
    if not path.is_dir():
        return [File(path, {})]
    found = sorted(p for p in path.rglob("*.parquet") if p.is_file() and not _hidden(p, path))
    if not found:
        raise ValueError(f"path: {path} is a folder without a .parquet file")
    texts = [_keys(file.relative_to(path)) for file in found]
    values: dict[str, list[str]] = {}
    for keys in texts:
        for key, text in keys.items():
            values.setdefault(key, []).append(text)
    whole = {key for key, given in values.items() if all(_is_integer(text) for text in given)}
    return [
        File(file, {key: int(text) if key in whole else text for key, text in keys.items()})
        for file, keys in zip(found, texts, strict=True)
    ]


def stamp(path: Path) -> Stamp:
    """The files of ``path`` as they are now; raises as `files_of`."""
    stats = [(str(file.path), file.path.stat()) for file in files_of(path)]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)


def _keys(file: Path) -> dict[str, str]:
    pairs = (part.split("=", 1) for part in file.parts[:-1] if "=" in part)
    return {unquote(key): unquote(text) for key, text in pairs}


def _is_integer(text: str) -> bool:
    return text.lstrip("-").isdecimal() and text.isascii()


def columns_of(file: File, columns: Mapping[str, str]) -> Iterator[dict[str, pa.Array]]:
    """The columns asked for, by key of the configuration, a bounded number of bytes at a time.

    Read through a small buffer and not through a memory map, whose pages would count as memory.
    Columns that are stored as a dictionary are written out.

    Raises:
        ValueError: if a column is not there, is the sequence once more, or the file is broken.

    """
    path, stored = file.path, [name for name in columns.values() if name not in file.keys]
    try:
        with pq.ParquetFile(path, buffer_size=READ_AHEAD_BYTES) as parquet:
            _require(file, parquet.schema_arrow, columns)
            batches = parquet.iter_batches(
                _rows_at_once(parquet.metadata, stored), columns=stored, use_threads=False
            )
            for batch in batches:
                yield {
                    key: _written_out(batch.column(name))
                    if name in stored
                    else pa.array([file.keys[name]] * len(batch))
                    for key, name in columns.items()
                }
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"path: {path} cannot be read as a Parquet file: {reason}") from None


def _require(file: File, schema: pa.Schema, columns: Mapping[str, str]) -> None:
    names = [*(name for name in schema.names if name not in file.keys), *file.keys]
    for key, column in columns.items():
        if names.count(column) != 1 or (key == "sequence" and column in file.keys):
            raise ValueError(
                f"{key}: {column!r} is not a column of {file.path}; allowed: {', '.join(names)}"
            )
        if key != "sequence" and column == columns["sequence"]:
            raise ValueError(f"{key}: {column!r} of {file.path} is the sequence itself")


def _rows_at_once(metadata: pq.FileMetaData, stored: Sequence[str]) -> int:
    """At most `ROWS_AT_ONCE`, fewer if they would be more than `BYTES_AT_ONCE`."""
    num_bytes = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = (group.column(place) for place in range(group.num_columns))
        num_bytes += sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.split(".")[0] in stored
        )
    a_row = num_bytes // max(1, metadata.num_rows)
    return max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // max(1, a_row)))


def _written_out(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
