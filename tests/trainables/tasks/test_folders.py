"""A folder of Parquet files, also in hive layout, is one file in parts; memory does not grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.trainables.tasks.labelled import seeded, task_of, write
from trainables.tasks.parquet import Parquet
from trainables.tasks.rows import files, reading
from trainables.tasks.rows.files import files_of

ROWS = [[row, row + 1, row % 7] for row in range(400)]
LABELS = [row % 3 for row in range(400)]


def batches(task: Parquet) -> list[torch.Tensor]:
    return [b.inputs for b in task.split("test").draw(3, 10**6, 32, seeded())]


def same(one: Parquet, other: Parquet) -> bool:
    return one.answer == other.answer and all(
        torch.equal(a, b) for a, b in zip(batches(one), batches(other), strict=True)
    )


def test_a_folder_is_its_files_together(tmp_path: Path) -> None:
    """At any depth; an empty file adds nothing, hidden names are left out."""
    whole = task_of(write(tmp_path / "whole.parquet", ROWS, LABELS))
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    write(folder / "b.parquet", ROWS[:100], LABELS[:100])
    write(folder / "deep" / "a.parquet", ROWS[100:], LABELS[100:])
    write(folder / "_old.parquet", ROWS[:9], LABELS[:9])
    write(folder / "c.parquet", pa.array([], pa.list_(pa.int64())), pa.array([], pa.int64()))
    (folder / "read.me").write_text("")
    assert same(whole, task_of(folder))


@pytest.mark.parametrize(("names", "classes"), [("012", (0, 1, 2)), ("0ab", ("0", "a", "b"))])
def test_hive_keys_are_columns(tmp_path: Path, names: str, classes: tuple[Any, ...]) -> None:
    """Integers if all are, else text; the label may be one."""
    for label, name in enumerate(names):
        (tmp_path / f"y={name}").mkdir()
        rows = [row for row, y in zip(ROWS, LABELS, strict=True) if y == label]
        pq.write_table(pa.table({"x": rows}), tmp_path / f"y={name}" / "part-0.parquet")
    task = task_of(tmp_path)
    assert task.labels.classes == classes
    firsts = task.rows.whole(np.arange(400)).reshape(400, 3)[:, 0]
    assert [LABELS[first] for first in firsts] == task.labels.targets.tolist()


def test_a_hive_key_is_unquoted(tmp_path: Path) -> None:
    (tmp_path / "y=a%20b").mkdir()
    pq.write_table(pa.table({"x": ROWS}), tmp_path / "y=a%20b" / "f.parquet")
    assert files_of(tmp_path)[0].keys == {"y": "a b"}
    with pytest.raises(ValueError, match="'a b' in every row"):
        task_of(tmp_path)


def refused(act: Any, *named: str) -> None:
    with pytest.raises(ValueError, match=r"path|sequence|target") as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    for part in named:
        assert part in message


def test_mistakes_in_a_folder_name_the_file(tmp_path: Path) -> None:
    """No file, a column that one file lacks or has of another type, another width, a null."""
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "f.txt").write_text("")
    refused(lambda: task_of(empty), f"path: {empty} is a folder without a .parquet file")
    others: dict[str, Any] = {
        "sequence: 'x' is not a column": pa.table({"z": ROWS[:5], "y": LABELS[:5]}),
        "target: 'y' of": pa.table({"x": ROWS[:5], "y": ["a"] * 5}),
        "holds list<element: double>, but": pa.table({"x": [[0.5]] * 5, "y": LABELS[:5]}),
        "a null in row 3": pa.table({"x": [*ROWS[:3], None], "y": LABELS[:4]}),
    }
    for place, (complaint, table) in enumerate(others.items()):
        folder = tmp_path / str(place)
        folder.mkdir()
        write(folder / "a.parquet", ROWS, LABELS)
        pq.write_table(table, folder / "b.parquet")
        refused(lambda folder=folder: task_of(folder), complaint, str(folder / "b.parquet"))


def test_a_folder_of_nothing_but_empty_files(tmp_path: Path) -> None:
    write(tmp_path / "c.parquet", pa.array([], pa.list_(pa.int64())), pa.array([], pa.int64()))
    refused(lambda: task_of(tmp_path), f"path: {tmp_path} has no rows")


def test_long_rows_are_read_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their stated size, of the columns asked for alone."""
    table = pa.table({"x": ROWS, "y": LABELS, "other": [list(range(1000))] * 400})
    pq.write_table(table, tmp_path / "f.parquet", use_dictionary=False)
    (file,) = files_of(tmp_path / "f.parquet")
    columns = {"sequence": "x", "target": "y"}
    sizes = [len(batch["target"]) for batch in files.columns_of(file, columns)]
    assert sizes == [400]
    monkeypatch.setattr(files, "BYTES_AT_ONCE", 1000)
    sizes = [len(batch["target"]) for batch in files.columns_of(file, columns)]
    assert max(sizes) * (3 * 8 + 8) <= 1000
    assert sum(sizes) == 400


def test_many_numbers_are_passed_over_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole rows, in order, each once, and a row longer than a block is a block of its own."""
    lengths = np.array([3, 1, 9, 2, 2, 5])
    values = np.arange(22)[:, None]
    rows = reading.Rows(Path("f"), values, np.cumsum(lengths), lengths, np.zeros(6, np.uint64), {})
    monkeypatch.setattr(reading, "STEPS_AT_ONCE", 4)
    everything = [block[:, 0] for block in rows.steps_of(np.ones(6, dtype=bool))]
    assert [len(block) for block in everything] == [4, 9, 4, 5]
    assert np.concatenate(everything).tolist() == list(range(22))
    some = rows.steps_of(np.array([True, False, False, True, False, False]))
    assert np.concatenate(list(some))[:, 0].tolist() == [0, 1, 2, 13, 14]
