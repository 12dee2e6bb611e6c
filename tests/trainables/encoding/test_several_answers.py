"""Rows with several answers: predicted, streamed and served as training and every test saw them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError

from tests.trainables.encoding.test_predict import predictor
from trainables.encoding.encoding import Encoding
from trainables.exports.pyfunc import Answering
from trainables.tasks.parquet import Parquet

ROWS = 90
RAW = [[n, n + 1.5, n - 2.0, n * 0.5, 7.0][: 2 + n % 4] for n in range(ROWS)]
"""Two to five steps."""

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def task_of(path: Path, labels: Any, **options: Any) -> Parquet:
    pq.write_table(pa.table({"x": RAW, "y": labels}), path)
    return Parquet(Parquet.Config(path=path, sequence="x", target="y", filler="blank", **options))


def at_each_step(path: Path) -> Parquet:
    tags = [[["up", "down"][(n + t) % 2] for t in range(len(row))] for n, row in enumerate(RAW)]
    return task_of(path, tags)


def after_the_row(path: Path) -> Parquet:
    return task_of(path, [[n % 2 == 0, n % 3 == 0, True] for n in range(ROWS)], asked="after")


def test_a_row_is_answered_at_each_of_its_steps(tmp_path: Path) -> None:
    """Rows are padded to those of the claimed length, as training padded them."""
    task = at_each_step(tmp_path / "f")
    model = predictor(task, lag=5)
    batch = task.split("train").show(np.arange(ROWS), 5, torch.Generator())
    with torch.no_grad():
        shown = model(batch.inputs, torch.arange(5).expand(ROWS, -1)).numpy()
    outputs, answers, shares = model.outputs_of(RAW), model.predict(RAW), model.predict_proba(RAW)
    for number, row in enumerate(RAW):
        expected = shown[number, 5 - len(row) :]
        np.testing.assert_allclose(outputs[number], expected, **CLOSE)
        assert answers[number].tolist() == [["down", "up"][n] for n in expected.argmax(-1)]
        assert shares[number].shape == (len(row), 2)


def test_a_list_after_the_gap_is_answered_one_a_step(tmp_path: Path) -> None:
    task = after_the_row(tmp_path / "f")
    model = predictor(task, lag=4)
    batch = task.show(np.arange(ROWS), 4, torch.Generator())
    with torch.no_grad():
        expected = model(batch.inputs, batch.scored).numpy()
    np.testing.assert_allclose(model.outputs_of(RAW), expected, **CLOSE)
    answers = model.predict(RAW)
    assert answers.shape == (ROWS, 3)
    assert answers.dtype == bool
    assert (answers == expected.argmax(-1)).all()
    assert model.encoding is not None
    assert model.encoding.chance == 1 / 8


def test_a_stream_answers_at_the_step_that_came_last(tmp_path: Path) -> None:
    model = predictor(at_each_step(tmp_path / "f"), lag=5)
    rows = np.array([row for row in RAW if len(row) == 5])
    expected = model.predict(rows)
    stream = model.stream(len(rows))
    for step in range(5):
        stream.step(rows[:, step].tolist())
    assert stream.predict().tolist() == [row[-1] for row in expected]


def test_a_stream_answers_lists_after_the_gap(tmp_path: Path) -> None:
    model = predictor(after_the_row(tmp_path / "f"), lag=4)
    rows = np.array([row for row in RAW if len(row) == 5])
    stream = model.stream(len(rows))
    for step in range(5):
        stream.step(rows[:, step].tolist())
    np.testing.assert_allclose(stream.outputs(), model.outputs_of(rows), **CLOSE)
    assert stream.predict(gap=2).tolist() == model.predict(rows, gap=2).tolist()


@pytest.mark.parametrize("make", [at_each_step, after_the_row])
def test_a_server_answers_with_lists(make: Any, tmp_path: Path) -> None:
    model = predictor(make(tmp_path / "f"), lag=5)
    assert model.encoding is not None
    served = Answering(model, model.encoding).predict(RAW)
    for number, answers in enumerate(model.predict(RAW)):
        assert served["label"][number] == answers.tolist()
        shares = [served[str(name)][number] for name in model.encoding.answer.names]
        np.testing.assert_allclose(np.sum(shares, axis=0), 1, **CLOSE)


def test_what_travels_tells_one_from_several(tmp_path: Path) -> None:
    """And encodings of before, which do not say it, are as they were."""
    within, after = at_each_step(tmp_path / "f").encoding, after_the_row(tmp_path / "g").encoding
    assert (within.each_step, within.answers, after.each_step, after.answers) == (True, 1, False, 3)
    assert "each_step" not in after.model_dump(mode="json")
    plain = within.model_dump(mode="json")
    del plain["each_step"]
    assert not Encoding.of(plain).is_several
    assert Encoding.of(plain).digest != within.digest
    with pytest.raises(ValidationError, match="each_step"):
        Encoding.of({**within.model_dump(mode="json"), "answers": 2})


def of_columns(path: Path) -> Parquet:
    """Three texts, and two flags."""
    faults = [["none", "bearing", "shaft"][n % 3] for n in range(ROWS)]
    pq.write_table(
        pa.table({"x": RAW, "fault": faults, "hot": [n % 2 == 0 for n in range(ROWS)]}), path
    )
    return Parquet(Parquet.Config(path=path, sequence="x", target=["fault", "hot"], filler="blank"))


def test_each_column_is_answered_with_its_own_classes(tmp_path: Path) -> None:
    task = of_columns(tmp_path / "f")
    model = predictor(task, lag=4)
    encoding = model.encoding
    assert encoding is not None
    assert encoding.chance == 1 / 6
    batch = task.show(np.arange(ROWS), 4, torch.Generator())
    with torch.no_grad():
        logits = model(batch.inputs, batch.scored)
    answers, shares = model.predict(RAW), model.predict_proba(RAW)
    names = ["bearing", "none", "shaft"]
    assert answers[:, 0].tolist() == [names[pick] for pick in logits[:, 0].argmax(-1)]
    assert answers[:, 1].tolist() == (logits[:, 1, :2].argmax(-1) == 1).tolist()
    assert {type(answer) for answer in answers[:, 1]} == {bool}
    np.testing.assert_allclose(shares.sum(-1), 1, **CLOSE)
    assert (shares[:, 1, 2] == 0).all()
    served = Answering(model, encoding).predict(RAW)
    assert list(served) == [
        *("fault", "p(fault: bearing)", "p(fault: none)", "p(fault: shaft)"),
        *("hot", "p(hot: False)", "p(hot: True)"),
    ]
    assert served["fault"].tolist() == answers[:, 0].tolist()
    assert served["hot"].tolist() == answers[:, 1].tolist()
    np.testing.assert_allclose(served["p(hot: True)"], shares[:, 1, 1], **CLOSE)
    right = task.judge_answers(logits, batch)
    labels = [n % 2 == 0 for n in range(ROWS)]
    assert right[:, 1].tolist() == [a == b for a, b in zip(answers[:, 1], labels, strict=True)]
