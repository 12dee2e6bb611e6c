"""Rows as they lie in a file and come over HTTP: texts in an array, a table with a step a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from search.results.use import how_to_use
from tests.trainables.encoding.test_predict import parquet, predictor, table

TEXTS = ["abc"[n % 3] * (1 + n % 4) + "cab"[n % 2 :] + "abc"[n % 3] * (n // 4) for n in range(60)]


def test_texts_are_rows_in_whatever_holds_them(tmp_path: Path) -> None:
    """Also an array of them, which MLflow's server makes of a request's ``inputs``."""
    path = table(tmp_path / "f", {"readings": TEXTS, "fault": [0, 1] * 30})
    model = predictor(parquet(path, values="characters"))
    expected = model.outputs_of([list(text) for text in TEXTS])
    for rows in (TEXTS, np.array(TEXTS), pd.Series(TEXTS), pa.array(TEXTS), {"readings": TEXTS}):
        np.testing.assert_array_equal(model.outputs_of(rows), expected)
    with pytest.raises(ValueError, match="the symbol 'd', which is not in the model's vocabulary"):
        model.predict(np.array(["abd"]))


@pytest.mark.parametrize("channels", [("readings",), ("readings", "other")])
def test_a_table_with_a_step_a_row_is_told_how_to_go_on(
    tmp_path: Path, channels: tuple[str, ...]
) -> None:
    """As it was read by ``group_by``: what is said to be allowed is, and answers in its order."""
    rng = np.random.default_rng(0)
    machine = rng.permutation(np.repeat(np.arange(60), 4))
    columns = {"machine": machine, "when": rng.permutation(240), "fault": machine % 2}
    columns |= {name: rng.normal(0, 1, 240) for name in ("readings", "other")}
    path = table(tmp_path / "f", columns)
    model = predictor(parquet(path, sequence=list(channels), group_by="machine", order_by="when"))
    lying = pd.DataFrame(columns)
    with pytest.raises(ValueError, match="rows: 'readings' has one step a row") as told:
        model.predict(lying)
    assert "\n" not in str(told.value)
    how = str(told.value).split("allowed: table")[1]
    assert how == ".sort_values('when').groupby('machine', sort=False).agg(list)"
    assert model.encoding is not None
    outcome = {"lag": 4, "success_rate": 0.9, "test_sequences": 40}
    assert f"give `table{how}`" in how_to_use(model.encoding, outcome, []).replace("\n", " ")
    together = lying.sort_values("when").groupby("machine", sort=False).agg(list)
    answers = model.predict(together)
    assert answers.tolist() == model.predict(together[::-1])[::-1].tolist()
    assert len(answers) == 60


@pytest.mark.parametrize("dtype", ["int64", "Int8", "Float32", "category", "double[pyarrow]"])
def test_a_row_may_be_whatever_pandas_keeps_values_in(tmp_path: Path, dtype: str) -> None:
    rows = [[n % 7, n % 3, n % 5] for n in range(60)]
    path = table(tmp_path / "f", {"readings": rows, "fault": [0, 1] * 30})
    model = predictor(parquet(path))
    expected = model.outputs_of(rows)
    held = [pd.Series(row, dtype=dtype) for row in rows]
    for given in (held, [row.array for row in held], [pd.Index(row) for row in held]):
        np.testing.assert_array_equal(model.outputs_of(given), expected)
    with pytest.raises(ValueError, match="'readings' has NaN or infinity in row 0"):
        model.predict([pd.array([1, None], dtype="Int64")])


def test_words_may_be_whatever_holds_text(tmp_path: Path) -> None:
    rows = [["go", "stop", "über"][n % 3 :] + ["go", "über"][n % 2 :] for n in range(60)]
    path = table(tmp_path / "f", {"readings": rows, "fault": [0, 1] * 30})
    model = predictor(parquet(path, values="tokens"))
    expected = model.outputs_of(rows)
    text = np.dtypes.StringDType()
    for given in (
        [pd.array(row, dtype="string") for row in rows], [pd.Categorical(row) for row in rows],
        [np.array(row, dtype=text) for row in rows], [pd.Index(row) for row in rows],
    ):  # fmt: skip
        np.testing.assert_array_equal(model.outputs_of(given), expected)


def test_texts_may_be_scalars_and_arrays_of_text(tmp_path: Path) -> None:
    path = table(tmp_path / "f", {"readings": TEXTS, "fault": [0, 1] * 30})
    model = predictor(parquet(path, values="characters"))
    expected = model.outputs_of(TEXTS)
    for given in (list(pa.array(TEXTS)), np.array(TEXTS, dtype=np.dtypes.StringDType())):
        np.testing.assert_array_equal(model.outputs_of(given), expected)


def test_a_sparse_matrix_is_one_line(tmp_path: Path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    path = table(tmp_path / "f", {"readings": [[1.0, n] for n in range(60)], "fault": [0, 1] * 30})
    model = predictor(parquet(path))
    for rows in (sparse.eye(3), [sparse.csr_matrix([[1.0, 2.0]])]):
        with pytest.raises(ValueError, match="'readings': a sparse matrix is not allowed"):
            model.predict(rows)
