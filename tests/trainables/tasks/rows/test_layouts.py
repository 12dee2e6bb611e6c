"""Sequences as text, over several columns, as a step a row, and cut: each as the lists they are."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainables.tasks.labelled import seeded, task_of
from trainables.encoding.rows import read_rows as predicted
from trainables.encoding.steps import TokenSteps
from trainables.tasks.parquet import Parquet
from trainables.tasks.stream import Stream

R = 60
WORDS = [["to", "be", "or"][: 1 + row % 3] + [f"w{row % 11}"] * 3 for row in range(R)]
DNA = ["ACGT"[row % 4] * (1 + row % 7) + "GATTACA" for row in range(R)]
LABELS = [row % 2 for row in range(R)]


def file(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path / "f.parquet", row_group_size=7)
    return path / "f.parquet"


def rows_of(task: Parquet | Stream) -> list[list[Any]]:
    found = [task.rows.whole(np.array([row])).tolist() for row in range(len(task.rows))]
    return [[step[0] if len(step) == 1 else step for step in row] for row in found]


def long_table(rows: list[list[list[int]]]) -> dict[str, list[Any]]:
    """A step a row, of groups whose rows lie scattered."""
    steps = [(group, t, *step) for group, row in enumerate(rows) for t, step in enumerate(row)]
    shuffled = [steps[n] for n in np.random.default_rng(0).permutation(len(steps))]
    names = ("id", "t", "a", "b")
    return {name: [step[n] for step in shuffled] for n, name in enumerate(names)}


@pytest.mark.parametrize(("values", "held"), [("tokens", WORDS), ("characters", DNA)])
def test_text_as_symbols(tmp_path: Path, values: str, held: list[Any]) -> None:
    task = task_of(file(tmp_path, x=held, y=LABELS), values=values)
    assert rows_of(task) == [list(row) for row in held]
    steps = task.fitted.steps
    assert isinstance(steps, TokenSteps)
    assert steps.vocabulary == tuple(sorted({symbol for row in held for symbol in row}))
    batch = task.show(np.arange(R), 2, seeded())
    for row, shown in zip(held, batch.inputs, strict=True):
        first = task.padding.steps - len(row)
        told = [steps.vocabulary[symbol] for symbol in shown[first : first + len(row)]]
        assert told == list(row)
    given = predicted({"x": held}, task.encoding)
    assert [row[:, 0].tolist() for row in given] == [list(row) for row in held]


def test_symbols_part_rows_by_what_they_spell_alone(tmp_path: Path) -> None:
    """However the file's rows are ordered and held."""
    task = task_of(file(tmp_path, x=WORDS, y=LABELS), values="tokens")
    turned = task_of(file(tmp_path, x=pa.array(WORDS[::-1]), y=LABELS), values="tokens")
    assert task.rows.hashes.tolist() == turned.rows.hashes.tolist()[::-1]
    assert len(np.unique(task.rows.hashes)) == len({tuple(row) for row in WORDS})


@pytest.mark.parametrize(
    ("values", "held", "what"),
    [
        ("numbers", WORDS, "allowed: a list of numbers"),
        ("characters", WORDS, "allowed: text"),
        ("tokens", [*WORDS[:41], ["a", None], *WORDS[42:]], "a null in row 41"),
        ("tokens", [*WORDS[:41], [], *WORDS[42:]], "an empty row in row 41"),
        ("tokens", [*WORDS[:41], None, *WORDS[42:]], "a null in row 41"),
        ("characters", [*DNA[:41], "", *DNA[42:]], "an empty row in row 41"),
        ("characters", [*DNA[:41], "A\0", *DNA[42:]], "a zero character"),
    ],
)
def test_text_that_is_no_sequence(tmp_path: Path, values: str, held: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what) as refused:
        task_of(file(tmp_path, x=held, y=LABELS), values=values)
    assert str(refused.value).startswith("sequence: ")


def test_a_text_that_is_no_utf_8(tmp_path: Path) -> None:
    wrong = pa.array([b"ab"] * 59 + [b"\xff"]).view(pa.string())
    with pytest.raises(ValueError, match="UTF8"):
        task_of(file(tmp_path, x=wrong, y=LABELS), values="characters")


def test_several_columns_are_channels(tmp_path: Path) -> None:
    a = [[row, row + 1] for row in range(R)]
    b = [[0.5 * row, 3.0] for row in range(R)]
    path = file(tmp_path, a=a, b=pa.array(b, pa.large_list(pa.float32())), y=LABELS)
    task = Parquet(Parquet.Config(path=path, sequence=("b", "a"), target="y"))
    means = [[[*step] for step in zip(*row, strict=True)] for row in zip(b, a, strict=True)]
    assert rows_of(task) == means
    assert task.config.columns == {"sequence": "b", "sequence 2": "a", "target": "y"}
    for table in ({"a": a, "b": b}, pa.table({"a": a, "b": b}), {"b": means}):
        assert [row.tolist() for row in predicted(table, task.encoding)] == means


def test_channels_of_different_length_are_refused_with_their_row(tmp_path: Path) -> None:
    a, b = [[1, 2]] * R, [[1, 2]] * 41 + [[1]] + [[1, 2]] * 18
    path = file(tmp_path, a=a, b=b, y=LABELS)
    with pytest.raises(ValueError, match=r"'a', 'b' of .* different length in row 41"):
        Parquet(Parquet.Config(path=path, sequence=("a", "b"), target="y"))


def test_several_columns_of_numbers_are_steps(tmp_path: Path) -> None:
    table = {f"t{n}": [row * 3 + n for row in range(R)] for n in range(4)}
    path = file(tmp_path, **table, y=LABELS)
    task = Parquet(Parquet.Config(path=path, sequence=("t0", "t1", "t2", "t3"), target="y"))
    assert rows_of(task) == [[row * 3 + n for n in range(4)] for row in range(R)]
    assert [row[:, 0].tolist() for row in predicted(table, task.encoding)] == rows_of(task)


@pytest.mark.parametrize("sequence", ["a", ("a", "b")])
@pytest.mark.parametrize("files", [1, 3])
def test_a_step_a_row(tmp_path: Path, sequence: Any, files: int) -> None:
    rows = [[[row * t, row - t] for t in range(1 + row % 5)] for row in range(R)]
    table = long_table(rows)
    table["y"] = [group % 2 for group in table["id"]]
    size = -(-len(table["id"]) // files)
    for n in range(files):
        some = {name: column[n * size : (n + 1) * size] for name, column in table.items()}
        pq.write_table(pa.table(some), tmp_path / f"{n}.parquet")
    config = {"path": tmp_path, "target": "y", "group_by": "id", "order_by": "t"}
    task = Parquet(Parquet.Config(sequence=sequence, **config))
    means = [[step if sequence != "a" else step[0] for step in row] for row in rows]
    assert rows_of(task) == means
    assert task.labels.targets.tolist() == LABELS


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"t": lambda t: min(t, 2)}, "order_by: 't' is 2 twice within the group 3"),
        ({"y": lambda y: y + 5}, "target: 'y' changes"),
        ({"id": lambda group: None if group == 7 else group}, "group_by: 'id' has a null"),
        ({"t": lambda t: None if t == 4 else t}, "order_by: 't' has a null"),
    ],
)
def test_steps_that_make_no_sequences(tmp_path: Path, change: Any, what: str) -> None:
    table = long_table([[[row, t] for t in range(1 + row % 5)] for row in range(R)])
    table["y"] = [group % 2 for group in table["id"]]
    ((name, act),) = change.items()
    few = 1 if name == "y" else len(table["id"])
    table[name] = [act(value) for value in table[name][:few]] + table[name][few:]
    path = file(tmp_path, **table)
    config = Parquet.Config(path=path, sequence="a", target="y", group_by="id", order_by="t")
    with pytest.raises(ValueError, match=what):
        Parquet(config)


def test_groups_by_dates_and_text_in_stored_order(tmp_path: Path) -> None:
    days = [date(2024, 1, 1 + n % 28) for n in range(280)]
    path = file(tmp_path, day=days, x=list(range(280)), y=[day.day % 2 for day in days])
    task = Parquet(Parquet.Config(path=path, sequence="x", target="y", group_by="day"))
    assert rows_of(task) == [list(range(n, 280, 28)) for n in range(28)]


@pytest.mark.parametrize("order_by", [None, "t"])
def test_a_long_recording_is_cut(tmp_path: Path, order_by: str | None) -> None:
    order = np.arange(1003) if order_by is None else np.random.default_rng(0).permutation(1003)
    path = file(tmp_path, x=(order * 2).tolist(), t=order.tolist())
    stream = Stream(
        Stream.Config(path=path, sequence="x", order_by=order_by, cut=20, context=8, answers=2)
    )
    found = rows_of(stream)
    assert [len(row) for row in found] == [20] * 50 + [3]
    assert [step for row in found for step in row] == list(range(0, 2006, 2))


def test_long_rows_are_cut_each(tmp_path: Path) -> None:
    rows = [list(range(row, row + 25 + row)) for row in range(R)]
    path = file(tmp_path, x=rows)
    stream = Stream(Stream.Config(path=path, sequence="x", cut=10, context=4, answers=2))
    means = [row[n : n + 10] for row in rows for n in range(0, len(row), 10)]
    assert rows_of(stream) == means


def test_keys_that_came_later_change_no_random_stream(tmp_path: Path) -> None:
    config = Parquet.Config(path=tmp_path, sequence="x", target="y")
    assert not {"group_by", "order_by", "cut"} & config.identity.keys()
    grouped = Parquet.Config(path=tmp_path, sequence="x", target="y", group_by="id")
    assert grouped.identity == {**config.identity, "group_by": "id"}
