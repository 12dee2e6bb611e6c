"""How files lie: folders, hive layouts, and tables with a log of which files count."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.hostile.kinds.case import NULL, Case, R, Write, parts, rows_of


def folders_cases(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """How files lie about, as Spark, Hive, Dask and people leave them."""
    means = rows_of(flat, labels)
    named = [
        ("a.parquet", "b.parquet"),
        ("a.PARQUET", "b.parquet"),
        ("a.parq", "b.pq"),
        ("part-00000-6a.c000.snappy.parquet", "part-00001-6a.c000.snappy.parquet"),
        ("part-00000", "part-00001"),
        ("000000_0", "000001_0"),
        ("part.0.parquet", "part.1.parquet"),
        ("deep/er/a.parquet", "deep/b.parquet"),
        ("a.gz.parquet", "b.parquet.gzip"),
        ("ä ö.parquet", "b c.parquet"),
        ("a#1.parquet", "b%41.parquet"),
        ("[1].parquet", "b*.parquet"),
        ("a.parquet", "b.pqt"),
        ("train/0.parquet", "test/0.parquet"),
    ]
    for names in named:
        yield Case("folders", " and ".join(names), parts(*names)(flat, labels), means, "d")
        yield Case(
            "folders",
            "beside Spark's own: " + names[0],
            _beside(parts(*names)(flat, labels)),
            means,
            "d",
        )
    two = parts("a.parquet", "b.parquet")(flat, labels)

    def linked(folder: Path) -> None:
        two(folder)
        (folder / "d").rename(folder / "e")
        (folder / "d").mkdir()
        (folder / "d" / "link").symlink_to(folder / "e")
        (folder / "d" / "again").symlink_to(folder / "e")
        (folder / "d" / "round").symlink_to(folder / "d")

    yield Case("folders", "links, twice and round", linked, means, "d")
    yield Case("folders", "a pattern of files", two, means, "d/*.parquet")
    yield Case(
        "folders",
        "a pattern of folders",
        parts("x1/a.parquet", "x2/b.parquet")(flat, labels),
        means,
        "d/x*",
    )
    yield Case(
        "folders",
        "a pattern at any depth",
        parts("x1/a.parquet", "y/z/b.parquet")(flat, labels),
        means,
        "**/*.parquet",
    )
    yield Case("folders", "a pattern of nothing", two, None, "d/*.csv")

    def disagreeing(folder: Path) -> None:
        two(folder)
        pq.write_table(pa.table({"x": [[0.5]], "y": ["c0"]}), folder / "d" / "c.parquet")

    yield Case("folders", "files that disagree", disagreeing, None, "d")


def _beside(write: Write) -> Write:
    def also(folder: Path) -> None:
        write(folder)
        for name in ("_SUCCESS", ".part-0.crc", "_metadata", "notes.txt", ".DS_Store"):
            (folder / "d" / name).write_text("")
        temporary = folder / "d" / "_temporary" / "0"
        temporary.mkdir(parents=True)
        pq.write_table(pa.table({"x": [[1]], "y": ["no"]}), temporary / "a.parquet")

    return also


def hive_cases(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """Keys of a hive layout: how they are written, and what they mean."""
    keyed: list[tuple[list[str], list[Any] | None]] = [
        (["1", "2"], [1, 2]),
        (["01", "1"], ["01", "1"]),
        (["-1", "0"], [-1, 0]),
        (["a", "b"], ["a", "b"]),
        (["a%20b", "c%2Fd"], ["a b", "c/d"]),
        (["12345678901234567890123", "7"], ["12345678901234567890123", "7"]),
        (["2024-01-01", "2024-01-02"], ["2024-01-01", "2024-01-02"]),
        (["true", "false"], ["true", "false"]),
        (["1.0", "1"], ["1.0", "1"]),
        (["٣", "4"], ["٣", "4"]),
        (["9223372036854775807", "1"], [2**63 - 1, 1]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        ([NULL, "a"], None),
        (["", "a"], None),
        ([NULL, "1"], None),
    ]
    for texts, values in keyed:
        for within in ("k", "y=9/k"):

            def write(folder: Path, texts: list[str] = texts, within: str = within) -> None:
                for place, text in enumerate(texts):
                    file = folder / "d" / f"{within}={text}" / "a.parquet"
                    file.parent.mkdir(parents=True)
                    pq.write_table(pa.table({"x": flat[place::2]}), file)

            rows = None
            if values is not None:
                rows = rows_of(flat, [values[place % 2] for place in range(R)])
            yield Case(
                "hive", f"{within}: {texts}", write, rows, "d", {"sequence": "x", "target": "k"}
            )


def lakes_cases(flat: list[list[int]], labels: list[str]) -> Iterator[Case]:
    """Tables with a log of which files count, one of which does not."""
    two = parts("data/a.parquet", "data/b.parquet")(flat, labels)
    add = {"add": {"path": "data/a.parquet"}}
    marks = {
        "Delta": ("_delta_log/00000000000000000000.json", json.dumps(add)),
        "Delta with checkpoints only": ("_delta_log/_last_checkpoint", "{}"),
        "Iceberg": ("metadata/v1.metadata.json", "{}"),
        "Iceberg, packed": ("metadata/1.gz.metadata.json", ""),
        "Iceberg by its hint": ("metadata/version-hint.text", "1"),
        "Hudi": (".hoodie/hoodie.properties", ""),
        "Hudi's partition": ("data/.hoodie_partition_metadata", ""),
        "Spark's sink": ("_spark_metadata/0", "v1"),
        "Paimon": ("snapshot/LATEST", "1"),
    }
    for name, (mark, content) in marks.items():

        def write(folder: Path, mark: str = mark, content: str = content) -> None:
            two(folder)
            (folder / "d" / mark).parent.mkdir(parents=True, exist_ok=True)
            (folder / "d" / mark).write_text(content)

        for path in ("d", ".", "d/data", "d/data/a.parquet", "d/data/*.parquet"):
            yield Case("lakes", f"{name}: {path}", write, None, path)
    if find_spec("deltalake") is None:
        return
    import deltalake

    def written(folder: Path) -> None:
        for some in (slice(0, R // 2), slice(0, None)):
            table = pa.table({"x": flat[some], "y": labels[some]})
            deltalake.write_deltalake(folder / "d", table, mode="overwrite")

    yield Case("lakes", "deltalake's own", written, None, "d")
