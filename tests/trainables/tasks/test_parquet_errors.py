"""Every mistake in the user's file or keys is one line that names it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.trainables.tasks.labelled import DIGITS, digits, seeded, task_of, write
from trainables.tasks.parquet import Parquet

ROWS = [[row, row + 1] for row in range(60)]
LABELS = [0, 1] * 30


def refused(act: Any, *named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named[0])) as caught:
        act()
    message = str(caught.value)
    assert type(caught.value) is ValueError
    assert "\n" not in message
    for part in named:
        assert part in message


def changed(row: int, value: Any, rows: list[Any] = ROWS) -> list[Any]:
    return [value if place == row else given for place, given in enumerate(rows)]


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    refused(lambda: task_of(tmp_path / "none"), "path", str(tmp_path / "none"), "does not exist")
    refused(lambda: task_of(tmp_path), "path", str(tmp_path), "folder")


@pytest.mark.parametrize("kept", ["nothing", "text", "half", "footer"])
def test_a_broken_file(tmp_path: Path, kept: str) -> None:
    """Empty, not Parquet, cut off, or with its middle gone."""
    whole = DIGITS.read_bytes()
    data = {
        "nothing": b"",
        "text": b"x,y\n1,2\n" * 9,
        "half": whole[: len(whole) // 2],
        "footer": whole[:4] + bytes(len(whole) - 3004) + whole[-3000:],
    }
    file = tmp_path / "broken.parquet"
    file.write_bytes(data[kept])
    config = Parquet.Config(path=file, sequence="pixels", target="label")
    refused(lambda: Parquet(config), "path", str(file), "cannot be read as a Parquet file")


def test_no_rows(tmp_path: Path) -> None:
    nothing = pa.array([], pa.list_(pa.int8()))
    file = write(tmp_path / "f", nothing, pa.array([], pa.int8()))
    refused(lambda: task_of(file), str(file), "has no rows")


def test_a_column_that_is_not_there() -> None:
    """The error says which are."""

    def act(sequence: str, target: str) -> None:
        Parquet(Parquet.Config(path=DIGITS, sequence=sequence, target=target))

    refused(lambda: act("pixel", "label"), "sequence: 'pixel'", str(DIGITS), "pixels, label")
    refused(lambda: act("pixels", "lable"), "target: 'lable'", str(DIGITS), "pixels, label")
    refused(lambda: act("pixels", "pixels"), "target: 'pixels'", str(DIGITS))
    refused(lambda: act("label", "pixels"), "sequence: 'label'", str(DIGITS), "int8", "a list of")


@pytest.mark.parametrize(
    "column",
    [[1.5] * 60, ["text"] * 60, [["a"]] * 60, [[[[1]]]] * 60, [{"a": 1}] * 60],
    ids=["number", "text", "list of text", "three deep", "struct"],
)
def test_a_sequence_of_another_type(tmp_path: Path, column: list[Any]) -> None:
    file = write(tmp_path / "f", column, LABELS)
    refused(lambda: task_of(file), "sequence: 'x'", str(file), "holds", "allowed")


def test_a_target_of_another_type(tmp_path: Path) -> None:
    file = write(tmp_path / "f", ROWS, pa.array(range(60), pa.timestamp("s")))
    refused(lambda: task_of(file), "target: 'y'", str(file), "timestamp", "allowed")


@pytest.mark.parametrize(
    "labels", [LABELS, ["a", "b"] * 30, [0.5] * 60], ids=["int", "text", "float"]
)
def test_labels_with_nulls(tmp_path: Path, labels: list[Any]) -> None:
    file = write(tmp_path / "f", ROWS, changed(41, None, labels))
    refused(lambda: task_of(file, tolerance=None), "target: 'y'", str(file), "null in row 41")


@pytest.mark.parametrize(
    ("value", "what"),
    [(None, "a null"), ([1, None], "a null"), ([], "an empty list")],
    ids=["row", "step", "empty"],
)
def test_flat_sequences_with_nulls_or_nothing(tmp_path: Path, value: Any, what: str) -> None:
    file = write(tmp_path / "f", changed(41, value), LABELS)
    refused(lambda: task_of(file), "sequence: 'x'", str(file), f"{what} in row 41")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "a null"),
        ([[1, 2], None], "a null"),
        ([[1, 2], [3, None]], "a null"),
        ([], "an empty list"),
        ([[1, 2], []], "an empty inner list"),
        ([[1, 2], [3]], "an inner list whose length is not 2"),
        ([[1, 2, 3]], "an inner list whose length is not 2"),
    ],
    ids=["row", "step", "feature", "empty", "empty step", "short", "long"],
)
@pytest.mark.parametrize("row", [41, 520])
def test_nested_sequences_with_nulls_or_ragged(
    tmp_path: Path, value: Any, what: str, row: int
) -> None:
    """In the first rows read and in later ones."""
    rows = [[[row, 1]] * (1 + row % 3) for row in range(600)]
    file = write(tmp_path / "f", changed(row, value, rows), [0, 1] * 300, 100)
    refused(lambda: task_of(file), "sequence: 'x'", str(file), f"{what} in row {row}")


def test_inner_lists_that_grow_in_later_rows(tmp_path: Path) -> None:
    """Also where all rows read at once agree among themselves."""
    rows = [[[row, 1] if row < 512 else [row, 1, 2]] for row in range(1024)]
    file = write(tmp_path / "f", rows, [0, 1] * 512, 1000)
    refused(lambda: task_of(file), "sequence: 'x'", str(file), "is not 2 in row 512")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_numbers_that_are_none(tmp_path: Path, value: float) -> None:
    """NaN, infinity and what float32 cannot hold, in the sequence or the target."""
    rows = [[float(row), 1.0] for row in range(60)]
    file = write(tmp_path / "f", changed(41, [1.0, value], rows), LABELS)
    refused(lambda: task_of(file), "sequence: 'x'", str(file), "NaN", "row 41")
    file = write(tmp_path / "g", ROWS, changed(41, value, [0.5] * 60))
    refused(lambda: task_of(file, tolerance=1.0), "target: 'y'", str(file), "NaN", "row 41")


def test_fewer_than_two_classes(tmp_path: Path) -> None:
    file = write(tmp_path / "f", ROWS, ["only"] * 60)
    refused(lambda: task_of(file), "target: 'y'", str(file), "'only' in every row")


def test_tolerance_and_answer_that_do_not_fit(tmp_path: Path) -> None:
    floats = write(tmp_path / "floats", ROWS, [0.5, 1e9] * 30)
    texts = write(tmp_path / "texts", ROWS, ["a", "b"] * 30)
    refused(lambda: task_of(floats), "tolerance", "required", str(floats))
    refused(lambda: task_of(floats, tolerance=1.0), "tolerance: 1.0", "64.0 or more", str(floats))
    refused(lambda: task_of(floats, answer="class"), "answer: class", "double", str(floats))
    refused(lambda: task_of(texts, answer="number", tolerance=1.0), "answer: number", str(texts))
    refused(lambda: task_of(texts, tolerance=1.0), "tolerance: 1.0", "class", str(texts))


def test_tokens_that_are_no_symbols(tmp_path: Path) -> None:
    for rows in ([[0.5, row] for row in range(60)], [[[row, 1]] for row in range(60)]):
        file = write(tmp_path / "f", rows, LABELS)
        refused(lambda file=file: task_of(file, values="tokens"), "values: tokens", str(file))


def test_a_part_without_rows(tmp_path: Path) -> None:
    """Three rows cannot be split in three by their hashes; nor can a thousand equal ones."""
    file = write(tmp_path / "f", [[1], [2], [1]], [0, 1, 0])
    refused(lambda: task_of(file), "path", str(file), "(2)", "part")


def test_too_short_a_lag() -> None:
    task = digits()
    refused(lambda: task.sample(-1, 2, seeded()), "lag: -1", "parquet", "0")
    refused(lambda: next(task.draw(-1, 2, 2, seeded())), "lag: -1", "parquet", "0")
