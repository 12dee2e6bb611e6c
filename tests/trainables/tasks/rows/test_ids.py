"""What says which rows belong together keeps every digit, and is no NaN."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.tasks.parquet import Parquet
from trainables.tasks.rows.reading import read_rows

GROUPS, STEPS = 30, 4
BY_GROUP = {"sequence": "x", "target": "y", "group_by": "id"}

FIRST = {"19 digits": 10**18 + 1, "beyond 64 bits": 2**64 + 1, "23 digits": 10**22 + 1}


def steps(first: int) -> dict[str, list[Any]]:
    """A step a row; of every two neighbours a double keeps one, and the target does not tell."""
    of = [group for group in range(GROUPS) for _ in range(STEPS)]
    return {"id": [first + group for group in of], "x": of, "y": [group // 15 for group in of]}


def csv(file: Path, columns: dict[str, list[Any]]) -> None:
    pd.DataFrame(columns).astype({"id": str}).to_csv(file, index=False)


def decimals(file: Path, columns: dict[str, list[Any]]) -> None:
    ids = pa.array([Decimal(each) for each in columns["id"]], pa.decimal128(38, 0))
    pq.write_table(pa.table({**columns, "id": ids}), file)


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize(("name", "write"), [("f.csv", csv), ("f.parquet", decimals)])
def test_ids_of_many_digits_are_as_many_sequences(
    tmp_path: Path, name: str, write: Callable[..., None], first: int
) -> None:
    write(tmp_path / name, steps(first))
    assert read_rows(tmp_path / name, BY_GROUP).lengths.tolist() == [STEPS] * GROUPS


def test_numbers_that_doubles_no_longer_tell_apart_are_no_ids(tmp_path: Path) -> None:
    columns = steps(2**53)
    file = tmp_path / "f.parquet"
    pq.write_table(pa.table({**columns, "id": pa.array(map(float, columns["id"]))}), file)
    with pytest.raises(ValueError, match=r"group_by: 'id' of .* is beyond 2\^53.* in row 0"):
        read_rows(file, BY_GROUP)


@pytest.mark.parametrize(
    "options",
    [{"group": "g"}, {"split": {"column": "g", "selection": 50, "test": 70}}],
    ids=["group", "split"],
)
def test_nan_is_no_group_and_no_time(tmp_path: Path, options: dict[str, Any]) -> None:
    """All rows without a patient would be one patient's; all without a time, of the past."""
    values = [float("nan") if row == 17 else float(row) for row in range(90)]
    columns = {"x": [[row, 1] for row in range(90)], "y": [0, 1] * 45, "g": pa.array(values)}
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    config = {"path": tmp_path / "f.parquet", "sequence": "x", "target": "y", **options}
    key = next(iter(options))
    with pytest.raises(ValueError, match=f"{key}: 'g' of .* is NaN, in row 17"):
        Parquet(Parquet.Config.model_validate(config))


def test_groups_that_files_number_alike_are_said_to_be_put_together(tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        columns = steps(0)
        columns["x"] = [f"{value}.{name == 'monday':d}" for value in columns["x"]]
        csv(tmp_path / f"{name}.csv", columns)
    config = Parquet.Config(path=tmp_path, sequence="x", target="y", group_by="id")
    (line,) = (line for line in Parquet(config).account.warnings if "group_by" in line)
    assert f"{GROUPS} of {GROUPS} groups" in line
    (tmp_path / "tuesday.csv").unlink()
    assert not any("group_by" in line for line in Parquet(config).account.warnings)


ODD = {
    "lists": pa.array([[row] for row in range(90)]),
    "records": pa.array([{"a": row} for row in range(90)]),
    "maps": pa.array([[("a", row)] for row in range(90)], pa.map_(pa.string(), pa.int64())),
    "half floats": pa.array(np.arange(90, dtype=np.float16)),
    "durations": pa.array(range(90), pa.duration("s")),
    "UUIDs": pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([uuid.UUID(int=row << 64).bytes for row in range(90)], pa.binary(16))
    ),
    "bytes": pa.array([b"\xff%d" % row for row in range(90)]),
}
KEYS: dict[str, dict[str, Any]] = {
    "group": {"group": "g"},
    "group_by": {"group_by": "g", "sequence": "t"},
    "order_by": {"group_by": "h", "order_by": "g", "sequence": "t"},
    "split": {"split": "g"},
    "a time split": {"split": {"column": "g", "selection": 50, "test": 70}},
    "target": {"target": "g"},
    "lag": {"lag": "g"},
}


TAKEN = {
    (key, kind)
    for key in ("group", "group_by")
    for kind in ("half floats", "durations", "UUIDs", "bytes")
} | {("a time split", "half floats")}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("key", KEYS)
def test_a_column_of_any_type_is_taken_or_one_line(tmp_path: Path, key: str, kind: str) -> None:
    columns = {"x": [[row, 1] for row in range(90)], "y": [0, 1] * 45, "t": range(90)}
    columns["h"] = [row // 3 for row in range(90)]
    file = tmp_path / "f.parquet"
    pq.write_table(pa.table({**columns, "g": ODD[kind]}), file)
    config = {"path": file, "sequence": "x", "target": "y", **KEYS[key]}
    if (key, kind) in TAKEN:
        assert len(Parquet(Parquet.Config.model_validate(config)).rows) == 90
        return
    with pytest.raises(ValueError, match=r"g") as error:
        Parquet(Parquet.Config.model_validate(config))
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
