"""Answers that look as if they stood for nothing, or for another class, are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.trainables.tasks.labelled import task_of, write

ROWS = [[row, row + 1] for row in range(200)]


def warned(folder: Path, answers: list[Any], **options: Any) -> list[str]:
    """Of what looks hardly meant, what names the target."""
    lines = task_of(write(folder / "f", ROWS, answers), **options).account.warnings
    return [line for line in lines if line.startswith("target: ")]


@pytest.mark.parametrize("word", ["", "nan", "None", "<NA>", "NULL", "NaT", "#N/A"])
def test_a_class_called_as_programs_call_no_value(tmp_path: Path, word: str) -> None:
    answers = [word if row % 10 == 0 else f"c{row % 2}" for row in range(200)]
    (line,) = warned(tmp_path, answers)
    assert f"{word!r} is a class of 20 answers" in line


@pytest.mark.parametrize("number", [-100, -999, -9999, 65535, 2**31 - 1, 999])
def test_a_class_whose_number_marks_something(tmp_path: Path, number: int) -> None:
    (line,) = warned(tmp_path, [number if row % 10 == 0 else row % 3 for row in range(200)])
    assert f"{number} is a class of 20 answers" in line


@pytest.mark.parametrize(
    "answers",
    [
        [row % 10 for row in range(200)],
        [row % 2 * 2 - 1 for row in range(200)],
        [row % 4 - 2 for row in range(200)],
        [99 if row % 2 else 98 for row in range(200)],
        [-1 if row % 3 else row % 2 for row in range(200)],
        [["none", "bearing", "unknown", "na"][row % 4] for row in range(200)],
        [["a", "A"][row % 2] for row in range(200)],
        [row % 2 == 0 for row in range(200)],
    ],
)
def test_classes_as_they_are(tmp_path: Path, answers: list[Any]) -> None:
    assert warned(tmp_path, answers) == []


def test_classes_that_only_spaces_case_or_accents_tell_apart(tmp_path: Path) -> None:
    names = ["yes", "yes ", "No", "NO", "caf\u00e9", "cafe\u0301", "maybe"]
    (line,) = warned(tmp_path, [names[row % 7] for row in range(200)])
    assert "'yes' and 'yes '" in line
    assert "'NO' and 'No'" in line
    assert "maybe" not in line


def test_a_number_that_stands_for_no_answer(tmp_path: Path) -> None:
    answers = [-999.0 if row % 50 == 0 else 100 + row / 7 for row in range(200)]
    (line,) = warned(tmp_path, answers, tolerance=1.0)
    assert "2 % of the answers are -999" in line


@pytest.mark.parametrize(("one", "other", "lines"), [("é", "e\u0301", 1), ("a", "A", 0)])
def test_one_letter_written_in_two_ways_is_said_and_two_letters_are_not(
    tmp_path: Path, one: str, other: str, lines: int
) -> None:
    found = warned(tmp_path, [other if row % 2 else one for row in range(200)])
    assert ["are different classes" in line for line in found] == [True] * lines


def test_many_answers_that_are_symbols_of_the_rows_themselves(tmp_path: Path) -> None:
    """A value of 150 that is recalled is neither an amount nor an id; of numbers it may be."""
    answers = [row % 150 for row in range(200)]
    assert any("amounts or ids" in line for line in warned(tmp_path, answers))
    symbols = warned(tmp_path, answers, values="tokens")
    assert not any("amounts or ids" in line for line in symbols)
    others = [row % 150 + 1000 for row in range(200)]
    assert any("amounts or ids" in line for line in warned(tmp_path, others, values="tokens"))
