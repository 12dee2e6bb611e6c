"""Who wrote it: pyarrow in every way, and pandas, polars and DuckDB where they are installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.hostile.kinds.case import Case, R, Write, rows_of


def parquet_files(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """Every way to write the same rows."""
    table, means = pa.table({"x": flat, "y": labels}), rows_of(flat, labels)
    ways: list[dict[str, Any]] = [
        *({"compression": codec} for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4")),
        *({"version": version} for version in ("1.0", "2.4", "2.6")),
        *({"data_page_version": version} for version in ("1.0", "2.0")),
        *({"row_group_size": size} for size in (1, 7, 59, 10**6)),
        *({"data_page_size": size} for size in (1, 100)),
        {"use_dictionary": False},
        {"write_page_checksum": True},
        {"write_statistics": False},
        {"store_schema": False},
        {"write_page_index": True},
        {"use_compliant_nested_type": False},
        {"use_dictionary": False, "column_encoding": {"x.list.element": "DELTA_BINARY_PACKED"}},
        {"use_dictionary": False, "column_encoding": {"x.list.element": "BYTE_STREAM_SPLIT"}},
        {"use_dictionary": False, "column_encoding": {"y": "DELTA_LENGTH_BYTE_ARRAY"}},
        {"use_dictionary": False, "column_encoding": {"y": "DELTA_BYTE_ARRAY"}},
        {"write_page_checksum": True, "data_page_version": "2.0", "compression": "zstd"},
    ]
    for way in ways:

        def write(folder: Path, way: dict[str, Any] = way) -> None:
            pq.write_table(table, folder / "f.parquet", **way)

        yield Case("ways to write Parquet", str(way), write, means)


def pandas_files(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    frame, means = pd.DataFrame({"x": flat, "y": labels}), rows_of(flat, labels)
    arrays = frame.assign(x=[np.array(row, dtype=np.float32) for row in flat])
    frames = {
        "as it is": frame,
        "arrays": arrays,
        "categories": frame.assign(y=frame.y.astype("category")),
        "string type": frame.assign(y=frame.y.astype("string")),
        "arrow strings": frame.assign(y=frame.y.astype("string[pyarrow]")),
        "an index": frame.set_index(pd.Index(range(5, R + 5), name="i")),
        "a column of numbers as its name": frame.assign(**{"0": 1}),
        "two levels of index": frame.set_index([pd.Index(range(R)), pd.Index(range(R))]),
        "a target as index": frame.set_index("y"),
        "tuples": frame.assign(x=[tuple(r) for r in flat]),
        "nested arrays": arrays,
    }
    for name, each in frames.items():
        yield Case(
            "pandas", name, lambda folder, each=each: each.to_parquet(folder / "f.parquet"), means
        )
    yield Case(
        "pandas",
        "partitioned",
        lambda folder: frame.to_parquet(folder / "d", partition_cols=["y"]),
        means,
        "d",
    )
    nullable = frame.assign(y=pd.array([int(label[1]) for label in labels], dtype="Int64"))
    yield Case(
        "pandas",
        "Int64",
        lambda folder: nullable.to_parquet(folder / "f.parquet"),
        rows_of(flat, [int(label[1]) for label in labels]),
    )
    lacking = frame.assign(y=pd.array([None, *[1, 0] * (R // 2 - 1), 1], dtype="Int64"))
    yield Case(
        "pandas", "Int64 with NA", lambda folder: lacking.to_parquet(folder / "f.parquet"), None
    )


def polars_files(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    if find_spec("polars") is None:
        return
    import polars as pl

    frame, means = pl.DataFrame({"x": flat, "y": labels}), rows_of(flat, labels)
    x, y = pl.col("x"), pl.col("y")
    frames = {
        "as it is": frame,
        "an array": frame.with_columns(x.cast(pl.Array(pl.Int64, 6))),
        "small": frame.with_columns(x.cast(pl.List(pl.UInt8))),
        "floats": frame.with_columns(x.cast(pl.List(pl.Float32))),
        "an array of floats": frame.with_columns(x.cast(pl.Array(pl.Float64, 6))),
        "categories": frame.with_columns(y.cast(pl.Categorical)),
        "an enum": frame.with_columns(y.cast(pl.Enum(["c0", "c1", "c2"]))),
    }
    for name, each in frames.items():
        yield Case(
            "polars",
            name,
            lambda folder, each=each: each.write_parquet(folder / "f.parquet"),
            means,
        )
    for codec in ("zstd", "snappy", "lz4", "gzip", "uncompressed"):
        yield Case(
            "polars",
            codec,
            lambda folder, codec=codec: frame.write_parquet(
                folder / "f.parquet", compression=codec, row_group_size=7
            ),
            means,
        )
    yield Case(
        "polars", "IPC", lambda folder: frame.write_ipc(folder / "f.arrow"), means, "f.arrow"
    )
    yield Case(
        "polars",
        "IPC with views",
        lambda folder: frame.write_ipc(folder / "f.arrow", compat_level=pl.CompatLevel.newest()),
        means,
        "f.arrow",
    )
    yield Case(
        "polars",
        "compressed IPC",
        lambda folder: frame.write_ipc(folder / "f.feather", compression="zstd"),
        means,
        "f.feather",
    )
    yield Case(
        "polars",
        "NDJSON",
        lambda folder: frame.write_ndjson(folder / "f.ndjson"),
        means,
        "f.ndjson",
    )
    yield Case(
        "polars", "a JSON array", lambda folder: frame.write_json(folder / "f.json"), None, "f.json"
    )
    yield Case(
        "polars",
        "partitioned",
        lambda folder: frame.write_parquet(
            pl.PartitionBy(folder / "d", key="y") if hasattr(pl, "PartitionBy") else folder / "d",
            mkdir=True,
        ),
        means,
        "d",
    )


def duckdb_files(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    if find_spec("duckdb") is None:
        return
    import duckdb

    table, means = pa.table({"x": flat, "y": labels}), rows_of(flat, labels)

    def copying(select: str, to: str, how: str) -> Write:
        def write(folder: Path) -> None:
            with duckdb.connect() as base:
                base.register("t", table)
                base.execute(f"COPY ({select}) TO '{folder / to}' ({how})")

        return write

    selects = {
        "as it is": "SELECT x, y FROM t",
        "an array": "SELECT x::BIGINT[6] AS x, y FROM t",
        "small": "SELECT x::UTINYINT[] AS x, y FROM t",
        "decimals": "SELECT x::DECIMAL(9,2)[] AS x, y FROM t",
        "doubles": "SELECT x::DOUBLE[] AS x, y FROM t",
        "an enum": "SELECT x, y::ENUM('c0','c1','c2') AS y FROM t",
        "floats": "SELECT x::FLOAT[] AS x, y FROM t",
    }
    for name, select in selects.items():
        yield Case("DuckDB", name, copying(select, "f.parquet", "FORMAT parquet"), means)
    for codec in ("zstd", "snappy", "gzip", "uncompressed", "brotli", "lz4_raw"):
        yield Case(
            "DuckDB",
            codec,
            copying(selects["as it is"], "f.parquet", f"FORMAT parquet, COMPRESSION {codec}"),
            means,
        )
    yield Case(
        "DuckDB",
        "version 2",
        copying(selects["as it is"], "f.parquet", "FORMAT parquet, PARQUET_VERSION v2"),
        means,
    )
    yield Case(
        "DuckDB",
        "huge integers",
        copying("SELECT x::HUGEINT[] AS x, y FROM t", "f.parquet", "FORMAT parquet"),
        means,
        may_refuse=True,
    )
    yield Case(
        "DuckDB",
        "partitioned",
        copying(selects["as it is"], "d", "FORMAT parquet, PARTITION_BY (y)"),
        means,
        "d",
    )
    yield Case(
        "DuckDB",
        "partitioned, nulls",
        copying("SELECT x, NULLIF(y, 'c0') AS y FROM t", "d", "FORMAT parquet, PARTITION_BY (y)"),
        None,
        "d",
    )
    yield Case(
        "DuckDB", "JSON", copying(selects["as it is"], "f.json", "FORMAT json"), means, "f.json"
    )
    yield Case(
        "DuckDB",
        "a file a thread",
        copying(selects["as it is"], "d", "FORMAT parquet, PER_THREAD_OUTPUT"),
        means,
        "d",
    )
