"""Symbols that are numbers of 64 bits, such as hashes: none is taken for another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.trainables.encoding.test_predict import parquet, predictor, table
from trainables.encoding.answers import ClassAnswers, ColumnsAnswers
from trainables.encoding.steps import TokenSteps

UNSIGNED = (1, 2**53 + 1, 2**63 - 1, 2**63 + 1, 2**63 + 2, 2**64 - 1)
SIGNED = (-(2**63), -3, 2**53 + 1, 2**53 + 2, 2**63 - 1)


@pytest.mark.parametrize(("known", "kind"), [(UNSIGNED, np.uint64), (SIGNED, np.int64)])
def test_each_symbol_has_its_own_number(known: tuple[int, ...], kind: Any) -> None:
    """On both sides of 2^63 too, where doubles would hold several as one."""
    steps = TokenSteps(vocabulary=known, has_blank=False)
    values = np.array(known, kind)
    assert steps.encode(values[:, None]).tolist() == list(range(len(known)))
    assert not steps.unknown(values).any()
    near = np.array([2**53, 2**53 + 3, 5, 0], kind)
    assert steps.unknown(near).all()


@pytest.mark.parametrize(
    ("known", "values", "unknown"),
    [
        (UNSIGNED, np.array([1, -1, 2**63 - 1], np.int64), [False, True, False]),
        (UNSIGNED, np.array([1.0, 2.0**53, 2.0**63, 2.0**64, 1.5, -1.0]), [False, *[True] * 5]),
        (SIGNED, np.array([2**53 + 1, 2**63], np.uint64), [False, True]),
        (SIGNED, np.array([-3.0, -(2.0**63), 2.0**63, 2.0**53]), [False, False, True, True]),
        ((0, 1, 300), np.array([1, 44], np.uint8), [False, True]),
        ((0, 1, 300), np.array([0, -1], np.int8), [False, True]),
        ((0, 1, 300), np.array([300, 301, 0.5], np.float16), [False, True, True]),
    ],
    ids=lambda given: given.dtype.name if isinstance(given, np.ndarray) else "",
)
def test_a_value_of_another_type_is_known_by_what_it_is(
    known: tuple[int, ...], values: np.ndarray, unknown: list[bool]
) -> None:
    steps = TokenSteps(vocabulary=known, has_blank=False)
    assert steps.unknown(values).tolist() == unknown


def test_rows_of_hashes_are_read_as_the_file_has_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [[int(v) for v in rng.choice(np.array(UNSIGNED, np.uint64), 5)] for _ in range(60)]
    column = pa.array(rows, pa.list_(pa.uint64()))
    path = table(tmp_path / "f.parquet", {"readings": column, "fault": [0, 1] * 30})
    task = parquet(path, values="tokens")
    model = predictor(task)
    batch = task.show(np.arange(60), 4, torch.Generator())
    assert batch.inputs[:, :5].tolist() == [[UNSIGNED.index(v) for v in row] for row in rows]
    with torch.no_grad():
        expected = model(batch.inputs, batch.scored).numpy()
    for given in (rows, column, np.array(rows, np.uint64), [np.array(r, np.uint64) for r in rows]):
        np.testing.assert_allclose(model.outputs_of(given), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=f"the symbol {2**63 + 3}, which is not in"):
        model.predict([[1, 2**63 + 3]])


@pytest.mark.parametrize("known", [UNSIGNED, SIGNED, (1, 2**70), (0, 1)])
def test_classes_that_are_numbers_stay_what_they_are(known: tuple[int, ...]) -> None:
    answer = ClassAnswers(names=known)
    assert answer.decode(np.eye(len(known))).tolist() == list(known)
    columns = ColumnsAnswers(columns=("a", "b"), names=(known, (False, True)))
    logits = np.stack([np.eye(len(known)), np.eye(len(known))], axis=1)
    assert columns.decode(logits)[:, 0].tolist() == list(known)


def test_a_vocabulary_is_of_64_bits() -> None:
    for vocabulary in ((-1, 2**63), (0, 2**64), (-(2**63) - 1, 0)):
        with pytest.raises(ValueError, match="its integers must fit into 64 bits"):
            TokenSteps(vocabulary=vocabulary, has_blank=False)
