"""CSV, Arrow and JSON lines hold the same rows as Parquet does; or are refused in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from trainables.tasks.layouts.layout import Layout
from trainables.tasks.rows.buckets import local
from trainables.tasks.rows.files import all_of
from trainables.tasks.rows.reading import read_rows

LISTS = {"x": [[row, row + 1, 5] for row in range(40)], "y": [f"c{row % 3}" for row in range(40)]}
LONG = {
    "id": [f"{row:02}" for row in range(20) for _ in range(4)],
    "t": [t for _ in range(20) for t in (3, 1, 2, 0)],
    "x": [row + t / 2 for row in range(20) for t in (3, 1, 2, 0)],
    "y": [row % 2 for row in range(20) for _ in range(4)],
}
COLUMNS = {"sequence": "x", "target": "y"}
BY_GROUP = {**COLUMNS, "group_by": "id", "order_by": "t"}


def arrow_file(file: Path, columns: dict[str, Any]) -> None:
    table = pa.table(columns)
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


def json_lines(file: Path, columns: dict[str, list[Any]]) -> None:
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


WRITERS: dict[str, Callable[[Path, dict[str, list[Any]]], object]] = {
    "f.feather": lambda file, columns: feather.write_feather(pa.table(columns), str(file)),
    "f.arrow": arrow_file,
    "f.JSONL": json_lines,
    "f.ndjson": json_lines,
    "f.csv": lambda file, columns: pd.DataFrame(columns).to_csv(file, index=False),
    "f.csv.gz": lambda file, columns: pd.DataFrame(columns).to_csv(file, index=False),
    "f.tsv": lambda file, columns: pd.DataFrame(columns).to_csv(file, index=False, sep="\t"),
}


@pytest.mark.parametrize("name", [name for name in WRITERS if "sv" not in name])
@pytest.mark.parametrize("asked", [".", "f.*"])
def test_lists(tmp_path: Path, name: str, asked: str) -> None:
    WRITERS[name](tmp_path / name, LISTS)
    rows = read_rows(tmp_path / (name if asked == "." else asked), COLUMNS)
    assert rows.values[:].reshape(-1, 3).tolist() == LISTS["x"]
    assert rows.columns["target"].to_pylist() == LISTS["y"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_step_a_row(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, LONG)
    rows = read_rows(tmp_path, BY_GROUP)
    assert rows.values[:, 0].tolist() == [row + t / 2 for row in range(20) for t in range(4)]
    assert rows.columns["target"].to_pylist() == [row % 2 for row in range(20)]


def test_csv_of_text_and_of_wide_rows(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text('x,y,a,b\nACG,u,1,2.5\n"T\nT",v,3,4\n')
    text = read_rows(tmp_path / "f.csv", COLUMNS, Layout("characters"))
    assert "".join(text.values[:][:, 0]) == "ACGT\nT"
    wide = read_rows(tmp_path / "f.csv", {"sequence": "a", "sequence 2": "b", "target": "y"})
    assert wide.values[:][:, 0].tolist() == [1.0, 2.5, 3.0, 4.0]


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (["01", "1"], ["01", "1"]),
        (["1", "-20"], [1, -20]),
        (["1", "2.5"], [1.0, 2.5]),
        (["true", "false"], [True, False]),
        (["12345678901234567890123", "1.x"], ["12345678901234567890123", "1.x"]),
    ],
)
def test_a_target_of_csv_is_what_is_written(
    tmp_path: Path, written: list[str], means: list[Any]
) -> None:
    (tmp_path / "f.csv").write_text("x,a,y\n" + "".join(f"1,2,{text}\n" for text in written))
    rows = read_rows(tmp_path, {"sequence": "x", "sequence 2": "a", "target": "y"})
    assert rows.columns["target"].to_pylist() == means


def test_numbers_that_begin_late_to_be_fractions(tmp_path: Path) -> None:
    """Beyond the rows by which a reader of blocks would have told the type."""
    lines = [f"{n},{n},{n % 2}\n" for n in range(200_000)] + ["0.5,1,1\n"]
    (tmp_path / "f.csv").write_text("x,t,y\n" + "".join(lines))
    rows = read_rows(tmp_path / "f.csv", {"sequence": "x"}, Layout(cut=50))
    assert rows.values[-1:].tolist() == [[0.5]]
    assert len(rows) == 4001


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv", b""),
        ("f.csv", b"x,y\n1\n1,2,3\n"),
        ("f.csv", b"x,y\n\xff\xfe,1\n"),
        ("f.csv", b"x,x,y\n1,2,3\n"),
        ("f.csv.gz", b"x,y\n1,2\n"),
        ("f.jsonl", b""),
        ("f.jsonl", b'{"x": [1], "y": 0}\n{"x": ['),
        ("f.json", b'[{"x": [1], "y": 0}, {"x": [2], "y": 1}]'),
        ("f.jsonl", b'{"x": [1], "y": 0}\n{"x": "a", "y": 1}\n'),
        ("f.jsonl", b'{"x": [1], "y": 0}\n{"x": [2]}\n'),
        ("f.feather", b""),
        ("f.arrow", b"ARROW1\0\0" + bytes(100)),
        ("f.csv", b"x;y\n1;2\n"),
    ],
)
def test_what_is_none_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name) as refused:
        read_rows(tmp_path / name, COLUMNS)
    assert type(refused.value) is ValueError
    assert "\n" not in str(refused.value)


def test_other_formats_count_where_no_parquet_is(tmp_path: Path) -> None:
    WRITERS["f.csv"](tmp_path / "a.csv", LONG)
    assert [file.path.name for file in all_of(tmp_path).files] == ["a.csv"]
    WRITERS["f.ndjson"](tmp_path / "b.ndjson", LONG)
    with pytest.raises(ValueError, match=r"a\.csv .*b\.ndjson"):
        all_of(tmp_path)
    pq.write_table(pa.table(LONG), tmp_path / "c.parquet")
    found = all_of(tmp_path)
    assert [file.path.name for file in found.files] == ["c.parquet"]
    assert [path.name for path, _ in found.left_out] == ["a.csv", "b.ndjson"]


def test_an_order_of_text_is_refused(tmp_path: Path) -> None:
    table = {**LONG, "t": [str(t) for t in LONG["t"]]}
    pq.write_table(pa.table(table), tmp_path / "f.parquet")
    with pytest.raises(ValueError, match="order_by: 't' holds string; allowed: numbers"):
        read_rows(tmp_path / "f.parquet", BY_GROUP)


def test_an_address_that_fsspec_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    memory = fsspec.filesystem("memory")
    pq.write_table(pa.table(LISTS), tmp_path / "f.parquet")
    memory.pipe("/test_tables/d/f.parquet", (tmp_path / "f.parquet").read_bytes())
    for address in ("memory://test_tables/d/f.parquet", "memory://test_tables/d"):
        rows = read_rows(address, COLUMNS)
        assert rows.values[:].reshape(-1, 3).tolist() == LISTS["x"]
    memory.rm("/test_tables", recursive=True)


@pytest.mark.parametrize("address", ["zz://a/b", "hf://datasets/a/b", "adl://x/y"])
def test_an_address_without_its_package_is_one_line(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=address) as refused:
        local(address)
    assert "\n" not in str(refused.value)


def test_types_survive_every_format(tmp_path: Path) -> None:
    columns = {"x": [[0.1, 1e-30], [2.5, -3.0]], "y": [True, False]}
    for name in ("f.feather", "f.arrow", "f.JSONL"):
        WRITERS[name](tmp_path / name, columns)
        rows = read_rows(tmp_path / name, COLUMNS)
        assert np.array_equal(rows.values[:].reshape(2, 2), columns["x"])
        assert rows.columns["target"].to_pylist() == columns["y"]


def test_symbols_are_as_they_are_written(tmp_path: Path) -> None:
    """``01`` and ``1`` are two words, though they are one number."""
    words = [word for row in range(40) for word in ("1", "01", f"{row:03}")]
    columns = {"id": [row for row in range(40) for _ in range(3)], "x": words}
    pd.DataFrame({**columns, "y": 0}).to_csv(tmp_path / "f.csv", index=False)
    by_group = {"sequence": "x", "target": "y", "group_by": "id"}
    rows = read_rows(tmp_path / "f.csv", by_group, Layout(text="symbols"))
    assert rows.values[:3].ravel().tolist() == ["1", "01", "000"]
    assert read_rows(tmp_path / "f.csv", by_group).values[:3].ravel().tolist() == [1, 1, 0]


def test_run_ends_are_written_out(tmp_path: Path) -> None:
    ends = pa.array([10, 25, 40], pa.int32())
    arrow_file(
        tmp_path / "f.arrow",
        {"x": LISTS["x"], "y": pa.RunEndEncodedArray.from_arrays(ends, pa.array(["a", "b", "a"]))},
    )
    found = read_rows(tmp_path / "f.arrow", COLUMNS).columns["target"].to_pylist()
    assert found == ["a"] * 10 + ["b"] * 15 + ["a"] * 15
