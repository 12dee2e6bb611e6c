"""Several columns as channels: rows as tables and as records, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from search.recording.logged_model import described, example
from search.results.use import how_to_use
from tests.trainables.encoding.test_predict import predictor, table
from trainables.encoding.encoding import Encoding
from trainables.tasks.parquet import Parquet

LAG = 6


def readings(folder: Path, **options: Any) -> tuple[Parquet, pd.DataFrame]:
    rng = np.random.default_rng(1)
    lengths = rng.integers(3, 7, 60)
    columns: dict[str, list[Any]] = {
        "u": [rng.normal(500, 20, n).round(1).tolist() for n in lengths],
        "v": [rng.normal(3, 1, n).round(2).tolist() for n in lengths],
        "fault": ["yes", "no"] * 30,
    }
    path = table(folder / "channels.parquet", columns)
    config = {"path": path, "sequence": ["u", "v"], "target": "fault", **options}
    return Parquet(Parquet.Config.model_validate(config)), pd.DataFrame(columns)


def test_records_answer_as_the_table_does(tmp_path: Path) -> None:
    task, rows = readings(tmp_path)
    model = predictor(task, LAG)
    expected = model.predict_proba(rows[["u", "v"]])
    np.testing.assert_array_equal(
        model.predict_proba(rows[["u", "v"]].to_dict("records")), expected
    )
    pairs = [list(zip(*row, strict=True)) for row in rows[["u", "v"]].itertuples(index=False)]
    np.testing.assert_array_equal(model.predict_proba(pairs), expected)


def test_a_column_that_lacks_is_named(tmp_path: Path) -> None:
    task, rows = readings(tmp_path)
    for given in (rows[["u"]], rows[["u"]].to_dict("records")):
        with pytest.raises(ValueError, match="'v'") as error:
            predictor(task, LAG).predict(given)
        assert "\n" not in str(error.value)


def test_columns_of_numbers_are_shown_as_such(tmp_path: Path) -> None:
    """A step a column: on the card a number for each, and what it shows is taken."""
    rng = np.random.default_rng(1)
    columns = {f"t{step}": rng.normal(5, 2, 60).round(2).tolist() for step in range(5)}
    path = table(tmp_path / "wide.parquet", {**columns, "fault": ["yes", "no"] * 30})
    config = {"path": path, "sequence": list(columns), "target": "fault"}
    model = predictor(Parquet(Parquet.Config.model_validate(config)), LAG)
    rows = eval(said(model.encoding).partition("rows = ")[2].partition("}")[0] + "}")
    assert list(rows) == list(columns)
    frame = pd.DataFrame(columns)
    expected = model.predict_proba(frame)
    assert expected.shape == (60, 2)
    for given in (frame.to_numpy(), frame.to_dict("records"), frame.to_numpy().tolist()):
        np.testing.assert_allclose(model.predict_proba(given), expected, rtol=1e-5)
    np.testing.assert_array_equal(model.predict_proba(rows), model.predict_proba(
        [list(model.encoding.example)]
    ))  # fmt: skip


def wide(folder: Path, **options: Any) -> tuple[Parquet, pd.DataFrame]:
    """A number a column, each a step; every seventh is null where that may be."""
    columns = {
        f"t{step}": [
            None if "missing" in options and (row + step) % 7 == 0 else row / 4 + step
            for row in range(60)
        ]
        for step in range(4)
    }
    path = table(folder / "wide.parquet", {**columns, "fault": ["yes", "no"] * 30})
    config = {"path": path, "sequence": list(columns), "target": "fault", **options}
    return Parquet(Parquet.Config.model_validate(config)), pd.DataFrame(columns)


def test_steps_that_are_missing_are_so_in_whatever_holds_them(tmp_path: Path) -> None:
    """The file's own rows are taken, with a null where pandas has NaN."""
    task, frame = wide(tmp_path, missing=["null"], filler="blank")
    model = predictor(task, LAG)
    batch = task.show(np.arange(60), LAG, torch.Generator())
    with torch.no_grad():
        expected = model(batch.inputs, batch.scored).numpy()
    own = pq.read_table(tmp_path / "wide.parquet")
    for given in (own, own.to_pylist(), frame, frame.convert_dtypes(), frame.astype(object)):
        np.testing.assert_allclose(model.outputs_of(given), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"t0": [1.0], "t1": [1.0], "t2": [1.0]}, "'t3' is not a column of the table"),
        ({"t0": [1.0]}, "'t1' is not a column of the table"),
        ([{"t0": 1.0, "t1": 1.0}], "'t2' is not in record 0"),
        ({"t0": [1.0], "t1": [1.0], "t2": [np.nan], "t3": [1.0]}, "'t2' has a null in row 0"),
        ({"t0": [1.0], "t1": [None], "t2": [1.0], "t3": [1.0]}, "'t1' has a null in row 0"),
        ({"t0": [1.0], "t1": [1.0], "t2": ["a"], "t3": [1.0]}, "'t2' holds str, which is no"),
        ({"t0": [1.0], "t1": [[1.0]], "t2": [1.0], "t3": [1.0]}, "'t1' holds list, which is no"),
    ],
)
def test_the_column_at_fault_is_named(tmp_path: Path, rows: Any, said: str) -> None:
    task, _ = wide(tmp_path)
    with pytest.raises(ValueError, match=said) as told:
        predictor(task, LAG).predict(rows)
    assert "\n" not in str(told.value)


@dataclass(frozen=True)
class Wrong:
    rows: dict[str, Any]
    said: str


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong({"u": [[1.0]], "v": [[1.0], [2.0]]}, "different numbers of rows: 'u' 1, 'v' 2"),
        Wrong({"u": [[1.0, 2.0]], "v": [[1.0]]}, "'u', 'v' are of different length in row 0"),
        Wrong({"u": [[1.0]], "v": [None]}, "has a null in row 0"),
        Wrong({"u": [[1.0]], "v": [pd.NA]}, "has a null in row 0"),
        Wrong({"u": [[1.0]], "v": [float("nan")]}, "'v' has a null in row 0"),
        Wrong(pd.DataFrame({"u": [np.nan], "v": [np.nan]}), "'u' has a null in row 0"),
        Wrong({"u": [[]], "v": [[]]}, "'u' has an empty list in row 0"),
        Wrong({"u": [1.0], "v": [2.0]}, "'u' holds float, which is no list of steps, in row 0"),
        Wrong({"u": [[1.0]], "v": ["x"]}, "'v' holds str, which is no list of steps, in row 0"),
        Wrong({"u": [[1.0]], "v": [2.0]}, "'v' holds float, which is no list of steps, in row 0"),
        Wrong({"u": [[1.0]], "v": 7}, "'v': int is not allowed; a column"),
        Wrong({"u": torch.eye(2).to_sparse(), "v": [[1.0]] * 2}, "a dense one of numbers"),
        Wrong({"u": [[[1.0, 2.0]]], "v": [[1.0]]}, "in row 0"),
    ],
    ids=lambda wrong: wrong.said[:40],
)
def test_what_no_table_could_have_held_is_one_line(tmp_path: Path, wrong: Wrong) -> None:
    task, _ = readings(tmp_path)
    with pytest.raises(ValueError, match=wrong.said) as error:
        predictor(task, LAG).predict(wrong.rows)
    assert "\n" not in str(error.value)


def test_mlflow_names_every_column(tmp_path: Path) -> None:
    """In what is said of the inputs, and in the example, which is a row that the model takes."""
    task, _ = readings(tmp_path)
    assert described(task.encoding, LAG)["inputs"]["columns"] == ["u", "v"]
    shown = example(task.encoding)
    assert list(shown.columns) == ["u", "v"]
    model = predictor(task, LAG)
    kept = [list(step) for step in task.encoding.example]
    np.testing.assert_array_equal(model.predict_proba(shown), model.predict_proba([kept]))


def said(encoding: Encoding) -> str:
    outcome = {"lag": LAG, "success_rate": 0.9, "test_sequences": 10}
    return how_to_use(encoding, outcome, [])


def test_the_card_shows_the_users_own_columns(tmp_path: Path) -> None:
    task, _ = readings(tmp_path)
    card = said(task.encoding)
    assert "| columns | `u`, `v` |" in card
    assert "these columns" in card
    shown = card.partition("rows = ")[2].partition("}")[0] + "}"
    rows = eval(shown)
    assert list(rows) == ["u", "v"]
    assert predictor(task, LAG).predict(rows).shape == (1,)


def test_the_card_says_what_is_filled(tmp_path: Path) -> None:
    task, _ = readings(tmp_path, missing=[-999], missing_indicator=True, scale="robust")
    card = said(task.encoding)
    assert "| missing values | -999" in card
    assert "filled with" in card
    assert "a feature more says which" in card
    assert "median and spread" in card
    assert "| missing values | refused |" in said(readings(tmp_path)[0].encoding)
