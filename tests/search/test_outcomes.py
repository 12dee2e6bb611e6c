"""A trial's outcomes on disk: its rows, with its parameters as columns."""

from __future__ import annotations

from pathlib import Path

from search.disk import outcomes
from tests.search.review.trials import trial

ROWS = trial(0, 8).rows


def test_parameters_are_columns_whatever_their_kinds(tmp_path: Path) -> None:
    """What one trial lacks is null; a number beside a word is a word, beside a fraction one."""
    made = [
        {"model/hidden_size": 16, "model/cell/gate": "soft", "model/cell/widths": [3, 5]},
        {"model/hidden_size": 1.5, "model/cell/gate": 2},
        {"model/cell/gate": None},
    ]
    for number, parameters in enumerate(made):
        outcomes.write(tmp_path, number, "sha", ROWS, parameters)
    rows = outcomes.read(tmp_path).to_pylist()[:: len(ROWS)]
    assert [row["model/hidden_size"] for row in rows] == [16, 1.5, None]
    assert [row["model/cell/gate"] for row in rows] == ["soft", "2", None]
    assert [row["model/cell/widths"] for row in rows] == [[3, 5], None, None]
    assert rows[0]["lag"] == ROWS[0].lag


def test_a_file_of_an_earlier_version_holds_what_it_should(tmp_path: Path) -> None:
    for parameters in ({}, {"model/hidden_size": 16}):
        outcomes.write(tmp_path, 0, "sha", ROWS, parameters)
        assert outcomes.holds(tmp_path, 0, "sha", ROWS)
        assert not outcomes.holds(tmp_path, 0, "sha", ROWS[1:])
