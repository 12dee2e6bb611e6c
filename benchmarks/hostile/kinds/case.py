"""One kind of data file: what is written, and which rows it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

R = 60
NULL = "__HIVE_DEFAULT_PARTITION__"

Row = tuple[tuple[tuple[Any, ...], ...], Any]
Write = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One data set.

    Attributes:
        kind: of which it is one
        name: within it
        write: puts it into a folder
        rows: what it means; None for what must be refused
        path: in the folder
        options: the task's other keys
        may_refuse: whether refusing it in one line is as good

    """

    kind: str
    name: str
    write: Write
    rows: list[Row] | None
    path: str = "f.parquet"
    options: dict[str, Any] = field(default_factory=lambda: {"sequence": "x", "target": "y"})
    may_refuse: bool = False


def rows_of(values: list[Any], labels: list[Any]) -> list[Row]:
    """Lists, or lists of lists, as rows."""
    return [
        (tuple(tuple(s) if isinstance(s, list | tuple) else (s,) for s in row), label)
        for row, label in zip(values, labels, strict=True)
    ]


def writing(**columns: Any) -> Write:
    """A Parquet file of these columns, by pyarrow."""
    return lambda folder: pq.write_table(pa.table(columns), folder / "f.parquet")


def parts(*names: str) -> Callable[[list[list[int]], list[str]], Write]:
    """The rows in as many files by these names, beneath the folder ``d``."""

    def of(flat: list[list[int]], labels: list[str]) -> Write:
        def write(folder: Path) -> None:
            for place, name in enumerate(names):
                file = folder / "d" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                some = slice(place, None, len(names))
                pq.write_table(pa.table({"x": flat[some], "y": labels[some]}), file)

        return write

    return of
