"""The table of real trials: a row a member and rung, as Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.files.whole_files import write_aside

TABLE = Path(__file__).parent / "trials.parquet"
ELSEWHERE_TABLE = Path(__file__).parent / "elsewhere.parquet"
"""Some draws of the first on tasks that it does not have."""

COLUMNS = pa.schema(
    {
        "number": pa.int32(),  # of the draw; one that the constraints refuse has no row
        "parameters": pa.string(),  # of the space, by path, as JSON
        "task": pa.string(),
        "lag": pa.int32(),
        "member": pa.int16(),
        "ended_by": pa.string(),  # `error`: the whole trial ended so
        "success_rate": pa.float32(),
        "looks": pa.int16(),
        "sequences": pa.int32(),
        "seconds": pa.float32(),  # of the processor, held-out tests included
        "training_gflop": pa.float64(),
        "parameter_count": pa.int32(),
        "state_bytes": pa.int64(),
    }
)


@dataclass
class Table:
    """The rows of a file, whole after every `add`."""

    path: Path
    rows: list[dict[str, Any]]

    @property
    def last(self) -> int:
        """The last draw that is there; -1 where none is."""
        return max((row["number"] for row in self.rows), default=-1)

    def add(self, number: int, parameters: Mapping[str, Any], rows: Sequence[Any]) -> None:
        """Keep all rows of one draw, and write the file anew."""
        shared = {"number": number, "parameters": json.dumps(parameters)}
        self.rows += [shared | _plain(row) for row in rows]
        written = io.BytesIO()
        kept = pa.Table.from_pylist(self.rows, schema=COLUMNS)
        pq.write_table(kept, written, compression="zstd")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(self.path, written.getvalue())


def read_table(path: Path = TABLE) -> Table:
    """The table in a file; an empty one where there is none."""
    rows = pq.read_table(path, schema=COLUMNS).to_pylist() if path.exists() else []
    return Table(path, rows)


def _plain(row: Any) -> dict[str, Any]:
    known = {**vars(row), "parameter_count": row.parameters}
    return {name: known[name] for name in COLUMNS.names if name in known and name != "parameters"}
