"""The best of a search is a model in MLflow: signed, loadable alone, registered on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.utils import _enforce_schema
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType, Array, TensorSpec

import trainables
from search.disk.folder import SearchFolder
from search.recording.logged_model import described, example, signature
from tests.search.conftest import in_process
from tests.waiting import HANGS
from trainables.tasks import TASKS


def client(runs: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")


def logged(runs: Path) -> list[LoggedModel]:
    found = client(runs)
    experiment = found.get_experiment_by_name("longspan")
    return list(found.search_logged_models([experiment.experiment_id]))


def exported(runs: Path) -> Path:
    (folder,) = SearchFolder(runs, "small").exports.iterdir()
    return folder


@pytest.fixture(scope="module")
def model(small_search: Path) -> LoggedModel:
    outcome = json.loads((exported(small_search) / "outcome.json").read_text())
    name = f"small-trial-{outcome['trial']:05d}-recall"
    (found,) = (m for m in logged(small_search) if m.name == name)
    return found


def test_a_search_ends_with_its_best_logged_under_its_run(
    small_search: Path, model: LoggedModel
) -> None:
    trial = json.loads((exported(small_search) / "outcome.json").read_text())["trial"]
    run = client(small_search).get_run(model.source_run_id)
    assert run.data.tags["longspan.trial"] == str(trial)
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert run.info.status == "FINISHED"


def test_it_carries_signature_weights_and_code_but_no_pickle(model: LoggedModel) -> None:
    folder = Path(model.artifact_location.removeprefix("file://"))
    described = Model.load(str(folder)).signature.to_dict()
    assert described == signature(TASKS["recall"](TASKS["recall"].Config()).encoding).to_dict()
    names = {path.name for path in folder.rglob("*")}
    assert {"model.safetensors", "config.yaml", "pyfunc.py"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pt", ".pth", ".pyc"))]


ANSWER = """
import json, sys
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/" + sys.argv[2])
answers = model.predict(np.arange(12).reshape(2, 6) % 3)
print(json.dumps({"answers": answers.to_dict("list"), "from": sys.modules["trainables"].__file__}))
"""


def test_mlflow_loads_it_without_longspan_at_hand(
    small_search: Path, model: LoggedModel, tmp_path: Path
) -> None:
    """In a process of its own, whose path starts elsewhere: the code logged with it answers."""
    uri = f"sqlite:///{small_search / 'mlflow.db'}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ANSWER, uri, model.model_id],
        capture_output=True, text=True, cwd=tmp_path, check=True, timeout=HANGS,
    )  # fmt: skip
    answered: dict[str, Any] = json.loads(done.stdout)
    assert answered["from"].startswith(model.artifact_location.removeprefix("file://"))
    model_here = trainables.load(exported(small_search))
    rows = np.arange(12).reshape(2, 6) % 3
    answers = answered["answers"]
    assert answers["label"] == model_here.predict(rows).tolist()
    shares = np.array([answers[name] for name in model_here.encoding.answer.names]).T
    np.testing.assert_allclose(shares, model_here.predict_proba(rows), rtol=1e-5, atol=1e-6)


def test_registering_on_request_and_once(small_search: Path, tmp_path: Path) -> None:
    for to in ("first", "second"):
        done = in_process(
            "export", "small", "--to", str(tmp_path / to), "--runs", str(small_search),
            "--register", "remembers",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "version 1 of the registered model remembers" in done.stdout
        assert "MLFLOW_TRACKING_URI" not in os.environ  # it would redirect the next search
    versions = client(small_search).search_model_versions("name = 'remembers'")
    assert [int(version.version) for version in versions] == [1]


def test_a_tracking_server_that_is_away_is_one_line(small_search: Path, tmp_path: Path) -> None:
    """The export is there all the same."""
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "small").symlink_to(small_search / "small")
    (runs / "mlflow.db").write_text("not a database")
    done = in_process("export", "small", "--to", str(tmp_path / "to"), "--runs", str(runs),
                    "--register", "m")  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("longspan: MLflow at sqlite:///")
    assert done.stderr.count("\n") == 1
    assert len(list((tmp_path / "to").iterdir())) == 1


@pytest.mark.parametrize(
    ("kind", "columns", "step"),
    [("recall", ["label", *(f"cue {n}" for n in range(1, 9))], "other 8"),
     ("adding", ["label"], [0.0, 0.0])],
)  # fmt: skip
def test_signatures_and_examples(kind: str, columns: list[str], step: Any) -> None:
    """Columns of what is answered by name, and a row that the model takes."""
    encoding = TASKS[kind](TASKS[kind].Config()).encoding
    assert signature(encoding).outputs.input_names() == columns
    inputs = described(encoding, 4)["inputs"]
    said = {"recall": "a symbol a step", "adding": "2 numbers a step"}[kind]
    assert inputs["holds"] == f"lists of steps, {said}, of any lengths, as the user has them"
    assert ("number" in inputs["also"]) == (kind == "adding")
    assert example(encoding)["sequence"].tolist() == [[step] * 4]


@pytest.mark.parametrize(
    "schema",
    [
        [ColSpec(AnyType(), "x")], [ColSpec(AnyType())], [ColSpec(AnyType(), "x", required=False)],
        [ColSpec(Array(DataType.double), "x")], [TensorSpec(np.dtype("float64"), (-1, -1))],
        [TensorSpec(np.dtype(object), (-1,))], [TensorSpec(np.dtype(object), (-1,), "x")],
    ],
)  # fmt: skip
def test_no_schema_of_inputs_would_let_all_rows_through(schema: list[Any]) -> None:
    """Why the signature has none: each refuses some, or cuts them. If one does not, use it."""
    ragged = [[1.0, 2.0], [3.0]]
    kept = []
    for rows in (pd.DataFrame({"x": ragged}), ragged, np.zeros((2, 5)), np.zeros((2, 5, 3))):
        try:
            given = _enforce_schema(rows, Schema(schema))
        except (MlflowException, ValueError):
            continue
        kept.append(np.asarray(given).size >= np.asarray(rows, dtype=object).size)
    assert sum(kept) < 4
