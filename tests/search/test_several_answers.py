"""What a card and MLflow say of models that give a row several answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.types
import numpy as np
import pytest

from search.recording.logged_model import described, signature
from search.results.use import how_to_use
from tests.trainables.encoding.test_predict import predictor
from tests.trainables.encoding.test_several_answers import (
    RAW,
    after_the_row,
    at_each_step,
    of_columns,
)
from trainables.exports.pyfunc import Answering

OUTCOME = {"lag": 4, "success_rate": 0.95, "test_sequences": 400, "data": None}


@pytest.mark.parametrize("make", [at_each_step, after_the_row, of_columns])
def test_the_signature_is_what_is_answered(make: Any, tmp_path: Path) -> None:
    """Column by column, and of the type that comes."""
    model = predictor(make(tmp_path / "f"), lag=5)
    assert model.encoding is not None
    served = Answering(model, model.encoding).predict(RAW)
    outputs = signature(model.encoding).outputs
    assert outputs.input_names() == list(served)
    for spec in outputs.inputs:
        first = served[spec.name][0]
        assert isinstance(first, list) == isinstance(spec.type, mlflow.types.schema.Array)
        value = first[0] if isinstance(first, list) else first
        kind = spec.type.dtype if isinstance(first, list) else spec.type
        assert kind.to_python() is type(np.asarray(value).item())
    assert described(model.encoding, 4)["encoding_sha256"] == model.encoding.digest


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (at_each_step, ["answered at each of its steps", "| classes | 'down', 'up' |"]),
        (after_the_row, ["The answers, 3 of them, are asked for 4 steps of filler after"]),
        (
            of_columns,
            [
                "| classes of `fault` | 'bearing', 'none', 'shaft' |",
                "| classes of `hot`",
                "The answers, 2 of them (`fault`, `hot`), are asked for 4 steps",
            ],
        ),
    ],
)
def test_a_card_says_what_comes(make: Any, says: list[str], tmp_path: Path) -> None:
    text = " ".join(how_to_use(make(tmp_path / "f").encoding, OUTCOME, []).split())
    for part in says:
        assert part in text
    assert "predict_proba" in text
