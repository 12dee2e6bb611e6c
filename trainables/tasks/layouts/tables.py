"""Files that are no Parquet, by pyarrow's readers: CSV, Arrow (Feather) and JSON lines.

CSV says no types. What numbers a sequence holds is inferred as pyarrow does, over the whole file;
other columns are numbers only where each is written as one writes it: ``01`` and ``1`` are two
texts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, feather
from pyarrow import json as json_lines

CSV, TSV, ARROW, JSON = "CSV", "tab-separated", "Arrow", "JSON lines"
FORMATS = {
    ".csv": CSV,
    ".tsv": TSV,
    ".arrow": ARROW,
    ".feather": ARROW,
    ".ipc": ARROW,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".json": JSON,
}
PACKED = (".gz", ".bz2", ".zst", ".lz4")
"""Behind the suffix of a CSV or JSON file: pyarrow unpacks them."""

INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
NUMBER = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
"""Not of more digits than doubles tell apart: those are ids, and text."""

MOST_BLOCK = 2**30
"""Bytes of a JSON file that are taken up at once: a row must fit."""


def format_of(name: str) -> str | None:
    """Which of the `FORMATS` a file of this name is; None for Parquet and all else."""
    path = PurePath(name)
    if path.suffix.lower() in PACKED and FORMATS.get(PurePath(path.stem).suffix.lower()) != ARROW:
        path = PurePath(path.stem)
    return FORMATS.get(path.suffix.lower())


def schema_of(file: Path) -> pa.Schema:
    """The file's columns; of CSV with the types of its first rows.

    Raises:
        ArrowException, OSError: if it is none

    """
    kind = format_of(file.name)
    if kind in (CSV, TSV):
        with csv.open_csv(file, parse_options=_parsing(kind)) as opened:
            return opened.schema
    return _table(file, None).schema


def batches_of(
    file: Path, names: list[str], as_written: Collection[str], rows: int
) -> Iterator[pa.RecordBatch]:
    """The columns called ``names``, so many rows at a time; the whole file is in memory meanwhile.

    Args:
        file: of one of the `FORMATS`
        names: the columns
        as_written: those of them that a CSV's digits alone do not make a number
        rows: of a batch, at most

    Raises:
        ArrowException, OSError: if it is none

    """
    kind = format_of(file.name)
    if kind not in (CSV, TSV):
        yield from _table(file, names).to_batches(max_chunksize=rows)
        return
    options = csv.ConvertOptions(
        include_columns=names,
        column_types={name: pa.string() for name in names if name in as_written},
        strings_can_be_null=True,
        null_values=["", "NULL", "null", "NA", "N/A", "NaN", "nan"],
    )
    table = csv.read_csv(file, parse_options=_parsing(kind), convert_options=options)
    for place, name in enumerate(table.column_names):
        if name in as_written:
            table = table.set_column(place, name, _typed(table[name].combine_chunks()))
    yield from table.to_batches(max_chunksize=rows)


def _table(file: Path, names: list[str] | None) -> pa.Table:
    if format_of(file.name) == ARROW:
        return feather.read_table(file, columns=names, memory_map=False)
    block = min(MOST_BLOCK, max(2**20, file.stat().st_size))
    table = json_lines.read_json(file, read_options=json_lines.ReadOptions(block_size=block))
    return table if names is None else table.select(names)


def _parsing(kind: str) -> csv.ParseOptions:
    return csv.ParseOptions(delimiter="\t" if kind == TSV else ",", newlines_in_values=True)


def _typed(texts: pa.StringArray) -> pa.Array:
    """Integers, floats or booleans if each is written as one, else text."""
    if texts.null_count == len(texts):
        return texts
    for pattern, kind in ((INTEGER, pa.int64()), (NUMBER, pa.float64())):
        if pc.all(pc.match_substring_regex(texts, pattern)).as_py():
            with suppress(pa.ArrowInvalid):  # beyond 64 bits
                return texts.cast(kind)
    for true, false in (("true", "false"), ("True", "False"), ("TRUE", "FALSE")):
        if pc.all(pc.is_in(texts.drop_null(), pa.array([true, false]))).as_py():
            return pc.equal(texts, true)
    return texts
