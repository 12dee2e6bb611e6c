"""One answer, whoever is asked: `predict`, a stream, MLflow's model, its server, ONNX, our own.

Raw rows in. For every kind of task and every kind of layer, with small models that were not
trained: what they say is arbitrary, and sensitive to every input.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from mlflow.models import Model as LoggedModel
from safetensors.torch import save_file

import trainables
from search.recording.logged_model import signature
from tests.trainables.test_exported import outcome
from tests.trainables.training.stand_ins import seeded, trial_config
from trainables.encoding.answers import ClassAnswers, ColumnsAnswers
from trainables.encoding.encoding import Encoding
from trainables.exports import exported, pyfunc
from trainables.exports.formats import FORMATS
from trainables.exports.formats.format import program
from trainables.exports.predicting import Predictor
from trainables.files import sums
from trainables.models.cells import LAYERS
from trainables.models.model import build
from trainables.tasks import TASKS, make_task
from trainables.tasks.parquet import Parquet
from trainables.tasks.stream import Stream
from trainables.tasks.task import Batch, Symbols, Task

CLOSE = {"rtol": 2e-4, "atol": 2e-5}
GENERATED = sorted(set(TASKS) - {"parquet", "stream"})


@dataclass(frozen=True)
class Asked:
    """Raw rows, and the task's own batch of the same rows."""

    task: Task
    lag: int
    rows: list[Any]
    batch: Batch


def generated(kind: str) -> Asked:
    """Sequences up to the last step that is asked at, symbols by their names."""
    task = make_task(TASKS[kind].Config())
    lag = max(6, task.shortest_lag)
    batch = task.sample(lag, 4, seeded(3))
    ends = (batch.scored[:, -1] + 1).tolist()
    rows = [row[:end].tolist() for row, end in zip(batch.inputs, ends, strict=True)]
    if isinstance(task.inputs, Symbols):
        names = task.encoding.steps.names  # type: ignore[union-attr]  # symbols have them
        rows = [[names[symbol] for symbol in row] for row in rows]
    return Asked(task, lag, rows, batch)


def of_file(folder: Path, name: str) -> Asked:
    """Rows of different lengths, as they lie in a file; filler is blank, so nothing is drawn."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, 60)
    rows: list[Any] = [rng.normal(500, 20, (n, 2)).tolist() for n in lengths]
    target: list[Any] = [["none", "bearing", "shaft"][k % 3] for k in range(60)]
    options: dict[str, Any] = {"filler": "blank"}
    if name == "tokens":
        rows = [[int(v) for v in rng.choice([7, -3, 100], n)] for n in lengths]
        target, options["values"] = [k % 2 == 0 for k in range(60)], "tokens"
    elif name == "text":
        rows = [rng.choice(["go", "stop", "ä"], n).tolist() for n in lengths]
        target, options["values"] = [k % 3 for k in range(60)], "tokens"
    elif name == "missing":
        rows = [[-999.0, None, *rng.normal(500, 20, n)] for n in lengths]
        options |= {"missing": [-999, "null"], "missing_indicator": True, "scale": "robust"}
    elif name == "characters":
        rows = ["".join(rng.choice(["a", "b", "ä"], n)) for n in lengths]
        options["values"] = "characters"
    elif name == "numbers as answers":
        target, options["tolerance"] = (1e3 + 7.0 * np.arange(60)).tolist(), 5.0
    elif name == "a label a step":
        target = [[["up", "down"][int(v[0] > 500)] for v in row] for row in rows]
        options |= {"mask": "asks", "lag": "back"}
    elif name == "labels after the gap":
        target = [[k % 2, k % 3, k % 2 if k % 4 else -100] for k in range(60)]
        options |= {"asked": "after", "ignore": -100}
    columns = {"x": rows, "y": target}
    sequence: str | list[str] = "x"
    if name == "columns of labels":
        columns["hot"], options["target"] = [k % 2 == 0 for k in range(60)], ["y", "hot"]
    if name == "a label a step":
        columns["asks"] = [[t % 2 == 1 for t in range(n)] for n in lengths]
        columns["back"] = [[max(1, t) for t in range(n)] for n in lengths]
    if name == "columns":
        sequence = ["u", "v"]
        columns |= {c: [[step[f] for step in row] for row in rows] for f, c in enumerate("uv")}
    if name == "columns that are steps":
        rows = rng.normal(500, 20, (60, 3)).tolist()
        sequence = ["u", "v", "w"]
        columns |= {c: [row[f] for row in rows] for f, c in enumerate(sequence)}
    if name == "lags":
        columns["far"], options["lag"] = [int(n) - 1 for n in lengths], "far"
    path = folder / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    config = {"path": path, "sequence": sequence, "target": "y", **options}
    task = Parquet(Parquet.Config.model_validate(config))
    batch = task.show(np.arange(12), 8, seeded())
    return Asked(task, 8, rows[:12], batch)


def of_stream(folder: Path, values: str) -> Asked:
    """Rows that the next step is asked of, at their own ends."""
    rows = np.random.default_rng(0).integers(100, 104, (60, 12))
    pq.write_table(pa.table({"x": rows.tolist()}), folder / "rows.parquet")
    config = {"path": folder / "rows.parquet", "sequence": "x", "values": values}
    task = Stream(Stream.Config(context=6, answers=3, **config))
    shown = torch.stack([task.encoding.show(row[:, None], 9, 0) for row in rows[:5, :9]])
    scored, targets = torch.full((5, 1), 8), torch.zeros(5, 1)
    return Asked(
        task, 6, rows[:5, :9].tolist(), Batch(inputs=shown, targets=targets, scored=scored)
    )


def write(folder: Path, asked: Asked, kind: str, gain: float = 1.0) -> Path:
    """An export of an untrained model, as ``longspan export`` leaves it; ``gain`` on its weights.

    With a high one the answers to a row differ from place to place.
    """
    folder.mkdir()
    config, task = trial_config(kind, hidden_size=8), asked.task
    model = build(config.model, task, seed=5)
    tensors = {name: tensor * gain for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / exported.WEIGHTS)
    content = {
        "configuration": config.model_dump(mode="json"),
        "task": task.config.portable.model_dump(mode="json"),
        "inputs": asdict(task.inputs),
        "answer": asdict(task.answer),
    }
    claim = outcome(lag=asked.lag, task=task.config.kind, encoding_sha256=task.encoding.digest)
    (folder / exported.CONFIG).write_text(yaml.safe_dump(content))
    (folder / exported.OUTCOME).write_text(json.dumps(claim))
    (folder / exported.ENCODING).write_text(task.encoding.model_dump_json())
    names = (exported.CONFIG, exported.WEIGHTS, exported.OUTCOME, exported.ENCODING)
    sums.write(folder, names)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _mlflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, at its import
        import mlflow.pyfunc.scoring_server  # noqa: F401 - warns once, here


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


def test_a_client_is_told_what_is_wrong_with_its_rows(tmp_path: Path) -> None:
    """By MLflow's server: status 400 and our one line, not that something went wrong."""
    from mlflow.pyfunc import PyFuncModel
    from mlflow.pyfunc.scoring_server import init

    asked = of_file(tmp_path, "features")
    folder = write(tmp_path / "export", asked, "gru")
    encoding = asked.task.encoding
    about = LoggedModel(
        signature=signature(encoding),
        flavors={"python_function": {"loader_module": pyfunc.__name__}},
    )
    app = init(PyFuncModel(about, pyfunc._load_pyfunc(str(folder))))
    for body, said in (
        ({"dataframe_records": [{"x": [[1.0, None]]}]}, "rows: 'x' has a null in row 0"),
        ({"dataframe_records": [{"y": [[1.0, 2.0]]}]}, "rows: 'x' is not a column of the table"),
        ({"inputs": [[[1.0, 2.0, 3.0]]]}, "has 3 values a step; this model takes 2"),
        ({"inputs": [[[1.0, 2.0]]], "params": {"gap": 10**7}}, "gap: 10000000 is not allowed"),
        ({"inputs": [[[1.0, 2.0]]], "params": {"gap": -7}}, "gap: -7 is not allowed"),
    ):
        status, told = asyncio.run(posted(app, json.dumps(body).encode()))
        assert (status, told["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert said in told["message"].splitlines()[-1]
        assert "stack_trace" not in told


async def posted(app: Any, body: bytes) -> tuple[int, Any]:
    """Status and content of the answer to a request to ``/invocations``."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
             "scheme": "http", "path": "/invocations", "raw_path": b"/invocations",
             "query_string": b"", "root_path": "", "headers": headers, "client": ("127.0.0.1", 1),
             "server": ("127.0.0.1", 80)}  # fmt: skip
    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(content)


def read_onnx() -> ModuleType:
    """The reader that users copy."""
    path = Path(__file__).parents[2] / "examples" / "read_onnx.py"
    spec = importlib.util.spec_from_file_location("read_onnx", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
