"""Several columns as channels: rows as tables and as records, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

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
