"""Outcomes as Arrow tables: one row a trial, task, member and rung, with the trial's parameters."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.files.whole_files import DamagedFileError, write_aside
from trainables.measure.records import MemberRung
from trainables.messages import one_line

SCHEMA = pa.schema(
    [
        ("trial", pa.int32()),
        ("task", pa.string()),
        ("lag", pa.int64()),
        ("member", pa.int32()),
        ("ended_by", pa.string()),
        ("solved", pa.bool_()),
        ("success_rate", pa.float64()),
        ("lower_bound", pa.float64()),
        ("test_sequences", pa.int64()),
        ("looks", pa.int32()),
        ("sequences", pa.int64()),
        ("seconds", pa.float64()),
        ("training_gflop", pa.float64()),
        ("parameters", pa.int64()),
        ("state_bytes", pa.int64()),
        ("peak_memory_bytes", pa.int64()),
        ("data", pa.string()),
        ("control", pa.string()),
        ("control_rate", pa.float64()),
        ("asked", pa.float64()),
        ("answers", pa.int64()),
        ("answer_rate", pa.float64()),
        ("chance", pa.float64()),
        ("seen", pa.float64()),
        ("no_gap_rate", pa.float64()),
        ("no_gap_sequences", pa.int64()),
        ("flops_per_step", pa.float64()),
        ("latency", pa.float64()),
        ("configuration", pa.string()),
    ]
)
"""`trainables.measure.records.MemberRung`, with the trial's number and its configuration's
SHA-256. Behind these stand the trial's parameters, each under its path."""

SUM = b"longspan.sha256"
"""Of a file's schema: the SHA-256 of its rows. Its pages have checksums, but its end has none."""

KEY = ("trial", "task", "lag", "member")

_MEASURED = [name for name in SCHEMA.names if name not in ("trial", "configuration")]


def write(
    folder: Path,
    trial: int,
    configuration: str,
    rows: Sequence[MemberRung],
    parameters: Mapping[str, Any] = {},
) -> Path:
    """Write all rows of one trial to its own file, whole or not at all, in place of the last."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    table = _table(trial, configuration, rows, parameters)
    table = table.replace_schema_metadata({SUM: _sum(table)})
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    write_aside(part(folder, trial), buffer.getvalue())
    return part(folder, trial)


def part(folder: Path, trial: int) -> Path:
    """The file of one trial."""
    return folder / f"{trial:05d}.parquet"


def holds(folder: Path, trial: int, configuration: str, rows: Sequence[MemberRung]) -> bool:
    """Whether the trial's file holds exactly these rows; an earlier version left parameters out."""
    try:
        found = read_part(part(folder, trial))
    except (FileNotFoundError, DamagedFileError):
        return False
    return bool(found.select(SCHEMA.names).equals(_table(trial, configuration, rows, {})))


def read_part(file: Path) -> pa.Table:
    """The rows in one file.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: in one line, if it is not as it was written.
    """
    try:
        found = pq.read_table(file, page_checksum_verification=True)
        known = (found.schema.metadata or {}).get(SUM)
        if known is not None and known != _sum(found):
            raise pa.ArrowInvalid("its checksum does not match")
        own = [field for field in found.schema if field.name not in SCHEMA.names]
        return _of_schema(found, pa.schema([*SCHEMA, *own]))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = one_line(error)
        raise DamagedFileError(f"{file}: damaged: {reason}; a resume writes it anew") from None


def _of_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table's columns as the schema has them; null where an earlier version wrote none."""
    there, count = set(table.column_names), len(table)
    columns = [
        table[field.name].cast(field.type) if field.name in there else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _sum(table: pa.Table) -> bytes:
    return hashlib.sha256(json.dumps(table.to_pydict(), default=repr).encode()).hexdigest().encode()


def _table(
    trial: int, configuration: str, rows: Sequence[MemberRung], parameters: Mapping[str, Any]
) -> pa.Table:
    measured = {name: [getattr(row, name) for row in rows] for name in _MEASURED}
    count = len(rows)
    columns = {"trial": [trial] * count, **measured, "configuration": [configuration] * count}
    table = pa.Table.from_pydict(columns, schema=SCHEMA)
    for name, value in parameters.items():
        if name not in SCHEMA.names:
            table = table.append_column(name, pa.array([value] * count))
    return table


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all; a parameter that is a number here and a word there is a word."""
    kinds: dict[str, list[pa.DataType]] = {}
    for field in (field for table in tables for field in table.schema):
        if field.type not in kinds.setdefault(field.name, []) and not pa.types.is_null(field.type):
            kinds[field.name].append(field.type)
    mixed = {
        name for name, of_it in kinds.items() if len(of_it) > 1 and not all(map(_number, of_it))
    }
    alike = [_worded(table, mixed & set(table.column_names)) for table in tables]
    return pa.concat_tables(alike, promote_options="permissive")


def _worded(table: pa.Table, names: Collection[str]) -> pa.Table:
    """The table with these columns as text."""
    for name in names:
        words = [None if value is None else str(value) for value in table[name].to_pylist()]
        table = table.set_column(table.column_names.index(name), name, pa.array(words))
    return table


def _number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def read(folder: Path) -> pa.Table:
    """Every row of a search, by trial, task, lag and member.

    Of parameters that a trial did not have the values are null.

    Raises:
        DamagedFileError: in one line, if a file is not as it was written.
    """
    tables = [read_part(file) for file in sorted(folder.glob("*.parquet"))]
    table = _together(tables) if tables else SCHEMA.empty_table()
    return table.sort_by([(key, "ascending") for key in KEY])
