"""Steps that are records: told by the names of their fields, in a file, in rows and over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from search.results.use import how_to_use
from tests.trainables.encoding.test_predict import parquet, predictor, table
from trainables.encoding.encoding import Encoding
from trainables.tasks.parquet import Parquet

LENGTHS = [3 + n % 4 for n in range(60)]


def movements(path: Path, first: str = "ax", second: str = "gy", **options: Any) -> Parquet:
    """Rows of records, which lie in the file with the second field first."""
    rng = np.random.default_rng(0)
    rows = [[{second: v, first: 900 + w} for v, w in rng.normal(0, 1, (n, 2))] for n in LENGTHS]
    return parquet(table(path, {"readings": rows, "fault": ["no", "yes"] * 30}), **options)


def test_records_and_lists_in_the_order_of_the_fields_are_answered_alike(tmp_path: Path) -> None:
    task = movements(tmp_path / "f.parquet")
    assert task.encoding.fields == ("ax", "gy")
    model = predictor(task)
    steps = [[901.0, 0.5], [899.0, -1.0]]
    expected = model.predict_proba([steps])
    turned = [{"gy": gy, "ax": ax} for ax, gy in steps]
    for rows in (
        [turned],
        {"readings": [turned]},
        pa.array([turned]),
        pa.chunked_array([[turned]]),
    ):
        np.testing.assert_array_equal(model.predict_proba(rows), expected)
    swapped = [[{"ax": gy, "gy": ax} for ax, gy in steps]]
    assert not np.allclose(model.predict_proba(swapped), expected)


@pytest.mark.parametrize(
    ("steps", "given"),
    [
        ([{"ax": 1.0, "gz": 2.0}], "'ax', 'gz'"),
        ([{"ax": 1.0, "gy": 2.0}, {"x": 1.0, "y": 2.0}], "'x', 'y'"),
        ([{"ax": 1.0, "gy": 2.0, "gz": 3.0}], "'ax', 'gy', 'gz'"),
        ([{"ax": 1.0}], "'ax'"),
        ([{"ax": 1.0, 3: 2.0}], "3, 'ax'"),
    ],
)
def test_other_fields_are_refused_by_name(tmp_path: Path, steps: Any, given: str) -> None:
    """As many numbers under other names are other features."""
    model = predictor(movements(tmp_path / "f.parquet"))
    said = f"'readings' has a step of the fields {given}; this model takes 'ax', 'gy', in row 1"
    with pytest.raises(ValueError, match=said) as told:
        model.predict([[{"ax": 1.0, "gy": 2.0}], steps])
    assert "\n" not in str(told.value)


def test_a_column_of_arrow_says_its_fields_itself(tmp_path: Path) -> None:
    model = predictor(movements(tmp_path / "f.parquet"))
    column = pa.array([[{"ax": 1.0, "gz": 2.0}]])
    for rows in (column, pa.chunked_array([column]), pa.table({"readings": column})):
        with pytest.raises(
            ValueError, match="has steps of the fields 'ax', 'gz'; this model takes"
        ):
            model.predict(rows)


def test_records_of_unlike_fields_are_refused_where_none_are_known(tmp_path: Path) -> None:
    """Of a file of lists, and of exports that name no fields: by their names, if they agree."""
    task = movements(tmp_path / "f.parquet")
    plain = task.encoding.model_dump(mode="json", exclude={"fields"})
    assert Encoding.of(plain).fields == ()
    rows = [[[901.0, 0.5], [899.0, -1.0]]] * 60
    model = predictor(parquet(table(tmp_path / "l.parquet", {
        "readings": [[[900.0 + n, float(n)], *row] for n, row in enumerate(rows)],
        "fault": ["no", "yes"] * 30,
    })))  # fmt: skip
    assert "fields" not in model.encoding.model_dump()
    expected = model.predict_proba(rows[:1])
    records = [{"b": gy, "a": ax} for ax, gy in rows[0]]
    np.testing.assert_array_equal(model.predict_proba([records]), expected)
    with pytest.raises(ValueError, match=r"of the fields 'a', 'c'; this model takes 'a', 'b'"):
        model.predict([[records[0], {"a": 1.0, "c": 2.0}]])


def test_data_of_other_fields_does_not_go_with_an_encoding(tmp_path: Path) -> None:
    kept = movements(tmp_path / "f.parquet").encoding
    other = movements(tmp_path / "o.parquet", second="gz")
    with pytest.raises(ValueError, match=r"has steps of the fields 'ax', 'gz'; the model takes"):
        other.under(kept)
    assert movements(tmp_path / "s.parquet").under(kept).encoding == kept


def test_other_fields_are_other_data(tmp_path: Path) -> None:
    """The same numbers in the same rows under another name; of earlier searches it is not known."""
    data = movements(tmp_path / "f.parquet").data
    other = movements(tmp_path / "o.parquet", second="gz").data
    assert other.fingerprint == data.fingerprint
    assert data.differences(other) == "steps of the fields 'ax', 'gz', not 'ax', 'gy'"
    earlier = type(data).model_validate(data.model_dump(exclude={"fields"}))
    assert earlier.differences(other) is None


def test_as_many_fields_as_values(tmp_path: Path) -> None:
    plain = movements(tmp_path / "f.parquet").encoding.model_dump(mode="json")
    with pytest.raises(ValueError, match="fields: 3 names for 2 values"):
        Encoding.of({**plain, "fields": ["ax", "gy", "gz"]})


def test_the_card_names_them(tmp_path: Path) -> None:
    encoding = movements(tmp_path / "f.parquet").encoding
    card = how_to_use(encoding, {"lag": 4, "success_rate": 0.9, "test_sequences": 10}, [])
    assert "| fields of a step | `ax`, `gy` |" in card


def test_a_bar_in_a_name_ends_no_cell_of_the_card(tmp_path: Path) -> None:
    rows = [[1.0, n] for n in range(60)]
    path = table(tmp_path / "f.parquet", {"a|b": rows, "fault": ["on|off", "ä"] * 30})
    encoding = parquet(path, sequence="a|b").encoding
    card = how_to_use(encoding, {"lag": 4, "success_rate": 0.9, "test_sequences": 10}, [])
    assert r"| column | `a\|b` |" in card
    assert r"| classes | 'on\|off', 'ä' |" in card
