"""The kinds of data file: who wrote it, what it holds, how its files lie, and which rows it means.

pandas, polars, DuckDB and deltalake write theirs where they are installed; what Spark writes is
laid out by hand.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.hostile.kinds import held, lying, others, written
from benchmarks.hostile.kinds.case import Case, R, Row

__all__ = ["Case", "Row", "cases"]


def cases(seed: int) -> Iterator[Case]:
    """All of them, with values drawn by ``seed``."""
    draw = np.random.default_rng(seed)
    flat = draw.integers(0, 100, (R, 6)).tolist()
    labels = [f"c{n}" for n in draw.integers(0, 3, R)]
    for make in (
        held.values_cases,
        held.targets_cases,
        held.refused_cases,
        written.parquet_files,
        written.pandas_files,
        written.polars_files,
        written.duckdb_files,
        lying.folders_cases,
        lying.hive_cases,
        lying.lakes_cases,
        others.others_cases,
        others.layouts_cases,
    ):
        yield from make(flat, labels)
