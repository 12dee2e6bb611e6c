"""One answer, whoever is asked: `predict`, a stream, MLflow's model, its server, our evaluation.

Raw rows in. For every kind of task and every kind of layer, with small models that were not
trained: what they say is arbitrary, and sensitive to every input.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
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
from trainables.encoding.answers import ClassAnswers
from trainables.exports import exported, pyfunc
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
    elif name == "numbers as answers":
        target, options["tolerance"] = (1e3 + 7.0 * np.arange(60)).tolist(), 5.0
    columns = {"x": rows, "y": target}
    if name == "lags":
        columns["far"], options["lag"] = [int(n) - 1 for n in lengths], "far"
    path = folder / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    task = Parquet(Parquet.Config(path=path, sequence="x", target="y", **options))
    near = [k for k in range(60) if name != "lags" or lengths[k] - 1 < 16][:12]
    batch = task.show(np.array(near), 8, seeded())
    return Asked(task, 8, [rows[k] for k in near], batch)


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


def write(folder: Path, asked: Asked, kind: str) -> Path:
    """An export of an untrained model, as ``longspan export`` leaves it."""
    folder.mkdir()
    config, task = trial_config(kind, hidden_size=8), asked.task
    model = build(config.model, task, seed=5)
    save_file(model.state_dict(), folder / exported.WEIGHTS)
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


def require_one_answer(folder: Path, asked: Asked) -> None:
    from mlflow.pyfunc import PyFuncModel

    model = trainables.load(folder)
    encoding = model.encoding
    assert encoding is not None
    with torch.no_grad():
        expected = model(asked.batch.inputs, asked.batch.scored).numpy()
    np.testing.assert_allclose(model.outputs_of(asked.rows), expected, **CLOSE)
    labels = encoding.answer.decode(expected)
    require_labels(model.predict(asked.rows), labels)
    flavor = {"python_function": {"loader_module": pyfunc.__name__}}
    about = LoggedModel(signature=signature(encoding), flavors=flavor)
    served = PyFuncModel(about, pyfunc._load_pyfunc(str(folder)))
    column = encoding.column
    tables = [served.predict(pd.DataFrame({column: asked.rows})), served.predict(asked.rows)]
    records = [{column: row} for row in asked.rows]
    tables.append(answered(served, {"dataframe_records": records}))
    if len({len(row) for row in asked.rows}) == 1:
        tables.append(answered(served, {"inputs": asked.rows}))
    for table in tables:
        require_labels(table["label"].tolist(), labels)
        if isinstance(encoding.answer, ClassAnswers):
            names = pyfunc.probability_columns(encoding.answer)
            shares = np.stack([np.array(table[name].tolist()) for name in names], axis=-1)
            wanted = torch.from_numpy(expected).softmax(-1).numpy()
            np.testing.assert_allclose(shares.reshape(wanted.shape), wanted, **CLOSE)
    for number, row in enumerate(asked.rows[:2]):
        stream = model.stream(1)
        for step in row:
            stream.step([step])
        np.testing.assert_allclose(stream.outputs(), expected[number : number + 1], **CLOSE)


def answered(model: Any, body: dict[str, Any]) -> pd.DataFrame:
    """What MLflow's server makes of the body of a request."""
    from mlflow.pyfunc.scoring_server import CONTENT_TYPE_JSON, invocations

    schema = model.metadata.get_input_schema()
    said = invocations(json.dumps(body), CONTENT_TYPE_JSON, model, schema)
    assert said.status == 200
    return pd.DataFrame(json.loads(said.response)["predictions"])


def require_labels(given: Any, labels: np.ndarray) -> None:
    found = np.array(given, dtype=labels.dtype).reshape(labels.shape)
    if labels.dtype.kind == "f":
        np.testing.assert_allclose(found, labels, **CLOSE)
    else:
        assert found.tolist() == labels.tolist()


@pytest.mark.parametrize("kind", GENERATED)
def test_every_generated_task(tmp_path: Path, kind: str) -> None:
    asked = generated(kind)
    require_one_answer(write(tmp_path / "export", asked, "gru"), asked)


@pytest.mark.parametrize("name", ["features", "tokens", "numbers as answers", "lags"])
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
