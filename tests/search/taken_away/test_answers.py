"""What people take away answers on their own rows: from a search to a served model."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

import trainables
from tests.search.conftest import COMMAND, in_process
from tests.search.taken_away.taken import (
    ALL,
    DEPTH,
    FILES,
    LAGGED,
    NUMBERS,
    RECALL,
    STREAM,
    TOKENS,
    export,
    one,
    refused,
)


@pytest.mark.parametrize(("columns", "least"), [(NUMBERS, 0.9), (TOKENS, 0.9), (LAGGED, 0.6)])
def test_raw_rows_get_the_files_labels(taken: Path, columns: str, least: float) -> None:
    model = trainables.load(one(taken, columns))
    rows = pd.read_parquet(taken / f"{FILES[columns]}.parquet")
    if columns == LAGGED:
        rows = rows[rows.far >= 4]
    truth = rows[model.encoding.columns["target"]].to_numpy()
    assert (model.predict(rows) == truth).mean() > least


def test_raw_rows_get_numbers_in_the_files_unit(taken: Path) -> None:
    model = trainables.load(one(taken, DEPTH))
    rows = pd.read_parquet(taken / "depth.parquet")
    assert (np.abs(model.predict(rows) - rows.depth) < 60).mean() > 0.7  # by chance 0.45


@pytest.mark.parametrize("columns", ALL)
def test_the_cards_how_to_use_runs(taken: Path, columns: str) -> None:
    """In the export's folder, in a process of its own; and its head is a model card's."""
    folder = one(taken, columns)
    card = (folder / "CARD.md").read_text()
    assert card.startswith("---\nlibrary_name: longspan\n")
    used = card[card.index("## How to use") :]
    (code, *_) = re.findall(r"```python\n(.*?)```", used, re.DOTALL)
    assert json.loads(columns)["sequence"] in code or columns == RECALL
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code + "print(len(model.predict(rows)))"],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("columns", "chance"), [(NUMBERS, "33.3%"), (DEPTH, "not known"), (STREAM, "50.0%")]
)
def test_the_card_has_chance_and_every_member(taken: Path, columns: str, chance: str) -> None:
    """The curve of the weights that are exported beside what each member showed on its rungs."""
    folder = one(taken, columns)
    card = (folder / "CARD.md").read_text()
    curve = card[card.index("## Forgetting curve") : card.index("## Gradient horizon")]
    assert f"Chance: {chance}." in curve
    assert "| lag | these weights |  | member 0 | member 1 |" in curve
    outcome = json.loads((folder / "outcome.json").read_text())
    first, second = (row for row in outcome["members_by_lag"] if row["lag"] == 4)
    (at,) = (point for point in outcome["forgetting_curve"] if point["lag"] == 4)
    rates = [at["successes"] / at["sequences"], first["success_rate"], second["success_rate"]]
    assert "| 4 | {:.1%} | learned | {:.1%} | {:.1%} |".format(*rates) in curve


@pytest.mark.parametrize("columns", list(FILES))
def test_the_pyfunc_answers_as_predict(taken: Path, columns: str) -> None:
    """Tables, ragged rows, arrays of any number type."""
    folder = one(taken, columns)
    model, served = trainables.load(folder), logged(taken, folder)
    column = model.encoding.column
    frame = pd.read_parquet(taken / f"{FILES[columns]}.parquet").head(40)[[column]]
    answers = served.predict(frame)
    assert answers["label"].tolist() == model.predict(frame).tolist()
    if len(answers.columns) > 1:
        proba = model.predict_proba(frame)
        assert list(answers.columns[1:]) == [str(n) for n in model.encoding.answer.names]
        np.testing.assert_allclose(answers.iloc[:, 1:], proba, rtol=1e-5)
    shortest = min(map(len, frame[column]))
    block = np.array([np.stack(list(row[:shortest])) for row in frame[column]])
    expected = model.predict(block).tolist()
    for rows in (block, block.astype(np.float64), {column: block}, {"inputs": block}, list(block)):
        assert served.predict(rows)["label"].tolist() == pytest.approx(expected) or (
            served.predict(rows)["label"].tolist() == expected
        )
    example = served.input_example
    assert list(example.columns) == [column]
    assert served.metadata.signature.outputs.input_names()[0] == "label"
    assert served.metadata.metadata["inputs"]["columns"] == [column]


def logged(taken: Path, folder: Path) -> Any:
    """The logged model of an export of the search's best."""
    outcome = json.loads((folder / "outcome.json").read_text())
    uri = f"sqlite:///{taken / 'runs' / 'mlflow.db'}"
    client = MlflowClient(uri)
    ids = [e.experiment_id for e in client.search_experiments()]
    name = f"taken-trial-00000-{outcome['task']}"
    (found,) = (m for m in client.search_logged_models(ids) if m.name == name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, at its import
        mlflow.set_tracking_uri(uri)
        try:
            return mlflow.pyfunc.load_model(f"models:/{found.model_id}")
        finally:
            mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_a_served_model_answers_http(taken: Path, tmp_path: Path) -> None:
    """``mlflow models serve``, offline and without the data, gives `predict`'s numbers."""
    folder = one(taken, NUMBERS)
    model = trainables.load(folder)
    rows = [row.tolist() for row in pd.read_parquet(taken / "numbers.parquet").readings.head(5)]
    even = [row[:5] for row in rows]
    uri = f"models:/{logged(taken, folder).model_id}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{taken / 'runs' / 'mlflow.db'}",
        "PATH": f"{COMMAND.parent}:{os.environ['PATH']}",
    }
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [str(COMMAND.with_name("mlflow")), "models", "serve", "-m", uri, "-p", str(port),
             "--env-manager", "local"],
            env=environment, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server, tmp_path / "log")
        records = {"dataframe_records": [{"readings": row} for row in rows]}
        for body, given in ((records, rows), ({"inputs": even}, even)):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                said = json.load(answer)["predictions"]
            assert [each["label"] for each in said] == model.predict(given).tolist()
            names = model.encoding.answer.names
            shares = [[each[name] for name in names] for each in said]
            np.testing.assert_allclose(shares, model.predict_proba(given), rtol=1e-5)
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers; it has no time of its own to keep."""
    while True:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            time.sleep(0.3)


# Exporting needs no data


def test_an_export_needs_no_data_and_names_no_place(taken: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(taken / "runs", moved)
    spec = moved / "taken" / "spec.yaml"
    spec.write_text(spec.read_text().replace(str(taken), str(tmp_path / "gone")))
    done = in_process("export", "taken", "--to", str(tmp_path / "to"), "--runs", str(moved))
    assert done.returncode == 0, done.stderr
    for columns in ALL:
        exported, before = one(tmp_path, columns, "to"), one(taken, columns)
        for name in ("encoding.json", "model.safetensors", "config.yaml"):
            assert (exported / name).read_bytes() == (before / name).read_bytes()
        for file in exported.iterdir():
            content = file.read_bytes()
            for place in (taken, tmp_path, Path.cwd(), Path.home()):
                assert str(place).encode() not in content, file


def test_an_encoding_that_was_edited_is_refused(taken: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(one(taken, NUMBERS), tmp_path / "edited")
    file = folder / "encoding.json"
    file.write_text(file.read_text().replace('"none"', '"fine"'))
    with pytest.raises(ValueError, match=r"encoding\.json: damaged, or edited") as caught:
        trainables.load(folder)
    assert len(str(caught.value).splitlines()) == 1
    file.unlink()
    with pytest.raises(ValueError, match=r"encoding\.json: no such file"):
        trainables.load(folder)


def test_which_trials_are_exported(taken: Path, tmp_path: Path) -> None:
    assert len(export(taken, str(tmp_path / "t"), "--trial", "0")) == len(ALL)
    at = ("--to", tmp_path / "x", "--runs", taken / "runs")
    assert "--trial: 7 is no trial of 'taken'" in refused("export", "taken", "--trial", "7", *at)
    assert "nothing of 'taken' has a certificate" in refused("export", "taken", "--certified", *at)
    assert "--top: 2 is not allowed" in refused(
        "export", "taken", "--trial", "0", "--top", "2", *at
    )


def test_mlflow_knows_the_data_and_the_champion(taken: Path) -> None:
    uri = f"sqlite:///{taken / 'runs' / 'mlflow.db'}"
    client = MlflowClient(uri)
    ids = [e.experiment_id for e in client.search_experiments()]
    for run in client.search_runs(ids):
        names = {given.dataset.name for given in run.inputs.dataset_inputs}
        assert names == {f"{file}.parquet" for file in FILES.values()}
    export(taken, "registered", "--register", "mine")
    best = client.get_model_version_by_alias("mine", "champion")
    assert best.tags["reach"] == "at least 4"
    assert best.tags["certified_lag"] == "none"
    assert best.tags["run"] == f"runs:/{best.run_id}"
    versions = client.search_model_versions("name = 'mine'")
    assert int(best.version) == max(int(v.version) for v in versions) == len(ALL)
    assert {v.tags["task"] for v in versions} == {
        m.name.removeprefix("taken-trial-00000-") for m in client.search_logged_models(ids)
    }
    for version in versions:
        model = client.get_logged_model(version.source.removeprefix("models:/"))
        assert json.loads(model.tags["mlflow.modelVersions"]) == [
            {"name": "mine", "version": str(version.version)}
        ]
        assert version.description == model.tags["mlflow.note.content"]


def test_a_logged_model_carries_its_claims(taken: Path) -> None:
    """As the export has them: metrics by its task's name, and a description."""
    client = MlflowClient(f"sqlite:///{taken / 'runs' / 'mlflow.db'}")
    ids = [e.experiment_id for e in client.search_experiments()]
    models = {
        m.name.removeprefix("taken-trial-00000-"): m for m in client.search_logged_models(ids)
    }
    for columns in ALL:
        outcome = json.loads((one(taken, columns) / "outcome.json").read_text())
        task, model = outcome["task"], models[outcome["task"]]
        told = {(m.key.removesuffix(f"/{task}"), m.step): m.value for m in model.metrics}
        assert told["reach", 0] == 4
        assert told["success_at_reach", 4] == outcome["success_rate"]
        assert told["lower_bound_at_reach", 4] == outcome["lower_bound"]
        for point in outcome["forgetting_curve"]:
            lag, rate = point["lag"], point["successes"] / point["sequences"]
            assert told["by_lag/success", lag] == rate
        about = model.tags["mlflow.note.content"]
        assert "Learned a dependency of **at least 4 steps**" in about
        assert "Certificate: None yet." in about
        assert columns in (STREAM, RECALL) or outcome["data"]["fingerprint"][:12] in about


LOAD = """
import sys

def refuse(event, given):
    if event == "socket.connect" and not isinstance(given[1], str):
        raise RuntimeError(f"this process is offline: {given}")
    if event == "open" and str(given[0]).endswith((".parquet", "spec.yaml")):
        raise RuntimeError(f"neither the data nor the spec is there: {given[0]}")

sys.addaudithook(refuse)
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/mine@champion")
print(model.predict([[460.0] * 6, [540.0] * 7])["label"].tolist())
"""


@pytest.mark.slow
def test_the_champion_loads_where_there_is_nothing_else(taken: Path, tmp_path: Path) -> None:
    """In another folder, with neither data nor spec, offline, by the code logged with it."""
    export(taken, str(tmp_path / "to"), "--register", "mine")
    uri = f"sqlite:///{taken / 'runs' / 'mlflow.db'}"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, uri],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['none', 'shaft']\n"
