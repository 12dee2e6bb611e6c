"""One answer, whoever is asked: `predict`, a stream, MLflow's model, its server, ONNX, our own.

Raw rows in. For every kind of task and every kind of layer, with small models that were not
trained (`tests.search.untrained`).
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import Model as LoggedModel

import trainables
from search.recording.logged_model import signature
from tests.search.untrained import Asked, generated, of_file, of_stream, write
from trainables.encoding.answers import ClassAnswers, ColumnsAnswers
from trainables.encoding.encoding import Encoding
from trainables.exports import pyfunc
from trainables.exports.formats import FORMATS
from trainables.exports.formats.format import program
from trainables.exports.predicting import Predictor
from trainables.models.cells import LAYERS
from trainables.tasks import TASKS

pytestmark = pytest.mark.usefixtures("scoring_server")

CLOSE = {"rtol": 2e-4, "atol": 2e-5}
GENERATED = sorted(set(TASKS) - {"parquet", "stream"})


def require_one_answer(folder: Path, asked: Asked, graph: ModuleType | None = None) -> None:
    """``graph``: the reader of ONNX files, if one is to be made of the export, and asked too."""
    from mlflow.pyfunc import PyFuncModel

    model = trainables.load(folder)
    encoding = model.encoding
    assert encoding is not None
    expected = own_answers(model, asked)
    require_close(model.outputs_of(asked.rows), expected)
    labels = [encoding.answer.decode(row[None])[0] for row in expected]
    require_labels(in_lists(model.predict(asked.rows), encoding), labels)
    flavor = {"python_function": {"loader_module": pyfunc.__name__}}
    about = LoggedModel(signature=signature(encoding), flavors=flavor)
    served = PyFuncModel(about, pyfunc._load_pyfunc(str(folder)))
    records = [encoding.in_columns(row) for row in asked.rows]
    if isinstance(asked.rows[0], str):
        records = [{encoding.column: row} for row in asked.rows]
    tables = [served.predict(pd.DataFrame(records)), served.predict(asked.rows)]
    tables.append(answered(served, {"dataframe_records": records}))
    if len({len(row) for row in asked.rows}) == 1:
        tables.append(answered(served, {"inputs": asked.rows}))
    for table in tables:
        require_table(table, encoding, expected, labels)
    if graph is not None:
        said = of_graph(folder, model, graph, asked)
        require_labels(in_lists(said, encoding), labels)
    for number, row in enumerate(asked.rows[:2]):
        stream = model.stream(1)
        for step in row:
            stream.step([step])
        last = expected[number][-1:] if encoding.each_step else expected[number]
        np.testing.assert_allclose(stream.outputs()[0], last, **CLOSE)


def own_answers(model: Predictor, asked: Asked) -> list[np.ndarray]:
    """What the task's own batch is answered, row by row; also where its labels ask for fewer."""
    batch, encoding = asked.batch, asked.task.encoding
    steps = batch.inputs.shape[1]
    with torch.no_grad():
        answers = model(batch.inputs, batch.scored)
        if asked.task.config.kind != "parquet" or not encoding.is_several:
            return [row.numpy() for row in answers]
        every = model(batch.inputs, torch.arange(steps).expand(len(answers), -1))
    scored = batch.scored[..., None].expand_as(answers)
    np.testing.assert_allclose(every.gather(1, scored), answers, **CLOSE)
    counts = [len(row) if encoding.each_step else encoding.answers for row in asked.rows]
    return [row[steps - count :].numpy() for row, count in zip(every, counts, strict=True)]


def in_lists(answers: Any, encoding: Encoding) -> list[Any]:
    """A list of answers of each row, also where it has but one."""
    return list(answers) if encoding.is_several else [[answer] for answer in answers]


def require_table(
    table: pd.DataFrame, encoding: Encoding, expected: list[np.ndarray], labels: list[np.ndarray]
) -> None:
    """The labels and, of classes, their probabilities, under the names that the signature gives."""
    assert list(table) == signature(encoding).outputs.input_names()
    answer = encoding.answer
    if isinstance(answer, ColumnsAnswers):
        require_labels([list(row) for row in table[list(answer.columns)].to_numpy()], labels)
        for place, (column, part) in enumerate(zip(answer.columns, answer.parts, strict=True)):
            wanted = np.stack([part.shares(row[place, : len(part.names)]) for row in expected])
            shares = table[pyfunc.shares_of(column, part)].to_numpy()
            np.testing.assert_allclose(shares, wanted, **CLOSE)
        return
    require_labels(in_lists(table["label"], encoding), labels)
    if isinstance(answer, ClassAnswers):
        names = pyfunc.probability_columns(answer)
        rows = table[names].itertuples(index=False)
        shares = [np.array(row).reshape(len(names), -1).T for row in rows]
        require_close(shares, [answer.shares(row) for row in expected])


def require_close(given: Any, expected: list[np.ndarray]) -> None:
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)


def of_graph(folder: Path, model: Predictor, reader: ModuleType, asked: Asked) -> list[Any]:
    """What the documents' reader answers to raw rows by ``model.onnx`` and ``encoding.json``."""
    form = FORMATS["onnx"]
    about = {"lag": str(asked.lag)}
    (folder / form.file).write_bytes(form.write(program(model), about))
    labels: list[Any] = reader.Reader(folder).predict(asked.rows)
    return labels


def answered(model: Any, body: dict[str, Any]) -> pd.DataFrame:
    """What MLflow's server makes of the body of a request."""
    from mlflow.pyfunc.scoring_server import CONTENT_TYPE_JSON, invocations

    schema = model.metadata.get_input_schema()
    said = invocations(json.dumps(body), CONTENT_TYPE_JSON, model, schema)
    assert said.status == 200
    return pd.DataFrame(json.loads(said.response)["predictions"])


def require_labels(given: list[Any], labels: list[np.ndarray]) -> None:
    for one, other in zip(given, labels, strict=True):
        if other.dtype.kind == "f":
            np.testing.assert_allclose(list(one), other, **CLOSE)
        else:
            assert list(one) == other.tolist()


@pytest.mark.parametrize("kind", GENERATED)
def test_every_generated_task(tmp_path: Path, kind: str) -> None:
    asked = generated(kind)
    require_one_answer(write(tmp_path / "export", asked, "gru"), asked)


@pytest.mark.parametrize(
    "name",
    ["features", "columns", "columns that are steps", "tokens", "text", "characters", "missing",
     "numbers as answers", "lags", "a label a step", "labels after the gap", "columns of labels"],
)  # fmt: skip
def test_every_kind_of_file(tmp_path: Path, name: str) -> None:
    asked = of_file(tmp_path, name)
    require_one_answer(write(tmp_path / "export", asked, "gru"), asked)


@pytest.mark.parametrize("values", ["numbers", "tokens"])
def test_every_kind_of_stream(tmp_path: Path, values: str) -> None:
    asked = of_stream(tmp_path, values)
    require_one_answer(write(tmp_path / "export", asked, "gru"), asked)


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_every_kind_of_layer(tmp_path: Path, kind: str) -> None:
    asked = of_file(tmp_path, "features")
    require_one_answer(write(tmp_path / "export", asked, kind), asked)


@pytest.mark.parametrize("name", ["lags", "a label a step", "features"])
def test_a_gap_that_a_model_has_not_is_refused_over_http(tmp_path: Path, name: str) -> None:
    """As `predict` refuses it: MLflow would drop what no signature names, and answer without."""
    from mlflow.pyfunc import PyFuncModel

    asked = of_file(tmp_path, name)
    folder = write(tmp_path / "export", asked, "gru")
    encoding = asked.task.encoding
    flavor = {"python_function": {"loader_module": pyfunc.__name__}}
    about = LoggedModel(signature=signature(encoding), flavors=flavor)
    served = PyFuncModel(about, pyfunc._load_pyfunc(str(folder)))
    body = {"dataframe_records": [encoding.in_columns(asked.rows[0])], "params": {"gap": 3}}
    if encoding.after_gap:
        expected = trainables.load(folder).predict_proba(asked.rows[:1], gap=3)
        names = pyfunc.probability_columns(encoding.answer)
        np.testing.assert_allclose(answered(served, body)[names], expected, **CLOSE)
        return
    with pytest.raises(MlflowException, match="gap: 3 is not allowed") as told:
        answered(served, body)
    assert told.value.get_http_status_code() == 400
    for gap in (-1, 0):
        assert len(answered(served, {**body, "params": {"gap": gap}})) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["features", "missing", "text", "numbers as answers", "lags",
                                  "stream", "recall", "a label a step", "labels after the gap",
                                  "columns of labels"])  # fmt: skip
def test_the_graph_answers_as_the_server(tmp_path: Path, name: str) -> None:
    """ONNX by the reader of the documents, which has neither torch nor Longspan."""
    if name == "stream":
        asked = of_stream(tmp_path, "tokens")
    else:
        asked = of_file(tmp_path, name) if name != "recall" else generated(name)
    require_one_answer(write(tmp_path / "export", asked, "rnn"), asked, read_onnx())


def read_onnx() -> ModuleType:
    """The reader that users copy."""
    path = Path(__file__).parents[2] / "examples" / "read_onnx.py"
    spec = importlib.util.spec_from_file_location("read_onnx", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
