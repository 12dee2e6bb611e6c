"""Targets as people have them: whole floats, decimals, amounts, ids, classes without a row."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainables.tasks.labelled import task_of, write
from tests.trainables.tasks.test_parquet_errors import refused

ROWS = [[row, row + 1] for row in range(300)]


@pytest.mark.parametrize(
    "labels",
    [
        [0.0, 1.0] * 150,
        np.array([0, 1] * 150, np.float32),
        [Decimal("0"), Decimal("1")] * 150,
        [Decimal("0.00"), Decimal("1.00")] * 150,
        pa.array([0, 1] * 150, pa.decimal128(38, 0)),
        [-0.0, 1.0] * 150,
    ],
    ids=["double", "float", "decimal", "decimal with a point", "hugeint", "minus zero"],
)
def test_whole_numbers_of_any_type_are_classes(tmp_path: Path, labels: Any) -> None:
    task = task_of(write(tmp_path / "f", ROWS, labels), answer="class")
    assert task.labels.classes == (0, 1)
    assert [type(name) for name in task.labels.classes] == [int, int]
    assert task.labels.targets[:4].tolist() == [0, 1, 0, 1]


def test_the_way_on_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "whole", ROWS, [0.0, 1.0] * 150)
    refused(lambda: task_of(file), "tolerance", "2 whole numbers", "`answer: class`")
    file = write(tmp_path / "halves", ROWS, [0.5, 1.0] * 150)
    refused(lambda: task_of(file, answer="class"), "answer: class", "0.5 in row 0", "number")
    file = write(tmp_path / "nan", ROWS, [float("nan"), 1.0] * 150)
    refused(lambda: task_of(file, answer="class"), "answer: class", "nan in row 0")


@pytest.mark.parametrize(
    ("labels", "allowed"),
    [
        (np.random.default_rng(0).integers(0, 10**6, 300), "`answer: number`"),
        (10_000 + np.arange(300) // 2, "`answer: number`"),
        ([f"customer {row % 200}" for row in range(300)], "few classes"),
    ],
    ids=["amounts", "ids", "text"],
)
def test_amounts_and_ids_are_warned_of(tmp_path: Path, labels: Any, allowed: str) -> None:
    account = task_of(write(tmp_path / "f", ROWS, labels)).account
    (warning,) = [line for line in account.warnings if "classes" in line]
    assert "seen once" in warning
    assert allowed in warning
    assert "'y'" in warning


def test_a_class_that_nothing_is_learned_of(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 150)
    held_out = task_of(write(tmp_path / "f", ROWS, labels)).of_part("test")
    labels[held_out] = 7
    account = task_of(write(tmp_path / "g", ROWS, labels)).account
    assert any("no row to train on of 7;" in line for line in account.warnings)
    assert {each.name: each.trained_on for each in account.answers.classes}[7] == 0


def test_digits_are_warned_of_nothing() -> None:
    from tests.trainables.tasks.labelled import digits

    account = digits().account
    assert account.warnings == ()
    assert len(account.answers.classes) == 10


def test_lists_of_lists_are_no_target(tmp_path: Path) -> None:
    file = write(tmp_path / "f", ROWS, [[[0, 1]]] * 300)
    refused(lambda: task_of(file, asked="after"), "target: 'y'", "list", "or lists of them")


def test_lags_that_are_whole_floats(tmp_path: Path) -> None:
    file = tmp_path / "f"
    rows = [[row, 0, 0] for row in range(60)]
    pq.write_table(pa.table({"x": rows, "y": [0, 1] * 30, "back": [1.0, 2.0] * 30}), file)
    assert task_of(file, lag="back").lags.tolist() == [1, 2] * 30
