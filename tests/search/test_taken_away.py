"""What people take away answers on their own rows: from a search to a served model.

One search over a task of every kind, as the command leaves it; its best is taken away.
"""

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
from search.commands import searching
from search.disk import outcomes
from search.disk.folder import SearchFolder
from tests.search.conftest import COMMAND, in_process
from tests.search.searched import recorded, searched

SPEC = """\
name: taken
space: quick
tasks:
  - {kind: parquet, path: numbers.parquet, sequence: readings, target: fault, filler: blank}
  - {kind: parquet, path: tokens.parquet, sequence: words, target: good, values: tokens}
  - {kind: parquet, path: depth.parquet, sequence: pair, target: depth, tolerance: 60.0,
     filler: resample}
  - {kind: parquet, path: lagged.parquet, sequence: x, target: y, lag: far, filler: blank}
  - {kind: stream, path: waves.parquet, sequence: x, context: 8, answers: 4}
  - {kind: recall, alphabet: 2}
ladder:
  {start: 4, stop: 4, members: 2, quorum: 1, success: 0.55, sequences: 12000, test_sequences: 256}
search:
  trials: 1
  scheduler: none
  sampler: random
  start_with: [{training/learning_rate: 5.0e-3, model/hidden_size: 16, model/cell/kind: lstm}]
"""


LSTM = {"model": {"cell": "lstm", "hidden_size": 16}, "training": {"learning_rate": 5.0e-3}}


def write_data(folder: Path) -> None:
    """Rows of different lengths and scales; a glance at the right step tells the answer."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 500)
    lengths = rng.integers(5, 9, 500)
    noise = [rng.normal(500, 2, n) for n in lengths]
    readings = [(row + 40 * (k - 1)).tolist() for row, k in zip(noise, kind, strict=True)]
    fault = [["none", "bearing", "shaft"][k] for k in kind]
    frame = pd.DataFrame({"readings": readings, "fault": fault})
    frame.to_parquet(folder / "numbers.parquet")
    good = rng.integers(0, 2, 500).astype(bool)
    words = [[int(w) for w in rng.choice([7, -3, 100 + g], n)] + [100 + int(g)] * 2
             for g, n in zip(good, lengths, strict=True)]  # fmt: skip
    pd.DataFrame({"words": words, "good": good}).to_parquet(folder / "tokens.parquet")
    depth = 1000 + 100 * rng.normal(size=500)
    pairs = [np.stack([rng.normal(0, 1, n), np.full(n, d)], 1).tolist()
             for d, n in zip(depth, lengths, strict=True)]  # fmt: skip
    pd.DataFrame({"pair": pairs, "depth": depth}).to_parquet(folder / "depth.parquet")
    y, far = rng.integers(0, 2, 800), rng.integers(2, 7, 800)
    x = rng.normal(0, 0.3, (800, 10))
    x[np.arange(800), 9 - far] += 4.0 * (2 * y - 1)
    lagged = {"x": x.tolist(), "y": y, "far": far}
    pd.DataFrame(lagged).to_parquet(folder / "lagged.parquet")
    periods = 50 + 20 * rng.choice([-1.0, 1.0], (400, 5)) + rng.normal(0, 0.5, (400, 5))
    waves = np.tile(periods, 3)[:, :14].tolist()
    pd.DataFrame({"x": waves}).to_parquet(folder / "waves.parquet")


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that has ended; its data is beside it, its best in ``best``."""
    folder = tmp_path_factory.mktemp("taken")
    write_data(folder)
    (folder / "spec.yaml").write_text(SPEC)
    recorded(searched(folder / "spec.yaml", folder / "runs", [LSTM]))
    export(folder, "best")
    return folder


def export(folder: Path, to: str, *options: str) -> list[Path]:
    done = in_process(
        "export", "taken", "--to", str(folder / to), "--runs", str(folder / "runs"), *options
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return sorted((folder / to).iterdir())


def one(folder: Path, columns: str, under: str = "best") -> Path:
    """The export of the task whose sequences stand in that column."""
    (found,) = (
        path
        for path in (folder / under).iterdir()
        if json.loads((path / "encoding.json").read_text())["columns"] == json.loads(columns)
    )
    return found


NUMBERS = '{"sequence": "readings", "target": "fault"}'
TOKENS = '{"sequence": "words", "target": "good"}'
DEPTH = '{"sequence": "pair", "target": "depth"}'
LAGGED = '{"sequence": "x", "target": "y", "lag": "far"}'
STREAM = '{"sequence": "x"}'
RECALL = '{"sequence": "sequence"}'
ALL = [NUMBERS, TOKENS, DEPTH, LAGGED, STREAM, RECALL]
FILES = {NUMBERS: "numbers", TOKENS: "tokens", DEPTH: "depth", LAGGED: "lagged", STREAM: "waves"}


def refused(*arguments: str | Path) -> str:
    """The one line of a refusal, exit code 2."""
    done = in_process(*map(str, arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


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


# Data has an identity


def test_every_outcome_says_which_data_it_was_measured_on(taken: Path) -> None:
    """By task; none of a task that generates. In the Parquet and in the exports the same."""
    rows = outcomes.read(SearchFolder(taken / "runs", "taken").outcomes).to_pylist()
    told = {row["task"]: row["data"] for row in rows}
    exported = {}
    for columns in ALL:
        outcome = json.loads((one(taken, columns) / "outcome.json").read_text())
        exported[outcome["task"]] = outcome.get("data", {"fingerprint": None})["fingerprint"]
    assert told == exported
    assert len(set(told.values())) == len(ALL)
    assert told["recall"] is None


def variants(taken: Path, folder: Path) -> dict[str, tuple[str, str, pd.DataFrame]]:
    """By name: of which task, what is said of it, and the file's other content."""
    numbers = pd.read_parquet(taken / "numbers.parquet")
    tokens = pd.read_parquet(taken / "tokens.parquet")
    depth = pd.read_parquet(taken / "depth.parquet")
    waves = pd.read_parquet(taken / "waves.parquet")
    lagged = pd.read_parquet(taken / "lagged.parquet")
    two = [np.stack([row, row], 1).tolist() for row in numbers.readings]
    return {
        "features": (NUMBERS, "has 2 features a step; the model takes 1",
                     numbers.assign(readings=two)),
        "no class": (NUMBERS, "has no row of 'shaft'", numbers[numbers.fault != "shaft"]),
        "renamed": (NUMBERS, "has 'zzz', which the model does not know and has no row of 'none'",
                    numbers.assign(fault=numbers.fault.replace({"none": "zzz"}))),
        "units": (NUMBERS, "units: mean", numbers.assign(readings=numbers.readings * 1.8 + 32)),
        "few": (NUMBERS, "it takes at least", numbers.head(20)),
        "labels": (NUMBERS, "labels changed, of the same 500 sequences",
                   numbers.assign(fault=numbers.fault.to_numpy()[::-1])),
        "added": (NUMBERS, "500 rows added (1000, not 500)", pd.concat(
            [numbers, numbers.assign(readings=[row + 1e-3 for row in numbers.readings])])),
        "symbol": (TOKENS, "has the symbol 8, which is not in the model's vocabulary",
                   tokens.assign(words=[np.where(w == 7, 8, w) for w in tokens.words])),
        "types": (TOKENS, "has 'no', 'yes', which the model does not know",
                  tokens.assign(good=np.where(tokens.good, "yes", "no"))),
        "metres": (DEPTH, "labels changed, of the same 500 sequences",
                   depth.assign(depth=depth.depth / 1000)),
        "lags": (LAGGED, "another than was measured", lagged.assign(far=lagged.far % 5 + 1)),
        "waves": (STREAM, "units: mean", waves.assign(x=waves.x * 3)),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["features", "no class", "renamed", "units", "few", "labels", "added", "symbol", "types",
     "metres", "lags", "waves"],
)  # fmt: skip
def test_verify_refuses_other_data(taken: Path, tmp_path: Path, name: str) -> None:
    columns, said, frame = variants(taken, tmp_path)[name]
    frame.to_parquet(tmp_path / "other.parquet")
    line = refused("verify", one(taken, columns), "--data", tmp_path / "other.parquet")
    assert said in line


@pytest.mark.parametrize("columns", ALL)
def test_verify_uses_the_exports_encoding(taken: Path, columns: str) -> None:
    """On the file it was trained on, in whatever order, the claim holds as it was exported."""
    folder = one(taken, columns)
    data = [] if columns == RECALL else ["--data", str(taken / f"{FILES[columns]}.parquet")]
    done = in_process("verify", str(folder), "--seed", "1", *data)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "the claim holds" in done.stdout


@pytest.mark.parametrize("columns", [NUMBERS, LAGGED])
def test_verify_gives_the_exported_success(taken: Path, columns: str) -> None:
    """Where nothing is drawn, on the training file's own held-out rows: the very count."""
    folder = one(taken, columns)
    outcome = json.loads((folder / "outcome.json").read_text())
    rows = outcome["test_sequences"]
    right = round(outcome["success_rate"] * rows)
    data = ("--data", str(taken / f"{FILES[columns]}.parquet"))
    done = in_process("verify", str(folder), "--seed", "7", *data)
    assert f"lag 4: {right} of {rows} fresh sequences right" in done.stdout


def test_verify_on_other_data_that_is_meant(taken: Path, tmp_path: Path) -> None:
    """Other units give the model what it was not trained on: nothing is fitted to them."""
    _, _, frame = variants(taken, tmp_path)["units"]
    frame.to_parquet(tmp_path / "fahrenheit.parquet")
    data = ("--data", str(tmp_path / "fahrenheit.parquet"), "--other-data")
    done = in_process("verify", str(one(taken, NUMBERS)), *data)
    assert done.returncode == 1, done.stderr + done.stdout
    assert "On other data than was measured: units: mean" in done.stdout
    assert "the claim FAILS" in done.stdout


@pytest.fixture
def changed(taken: Path, tmp_path: Path) -> Path:
    """The search in another place, with data of its own that may be changed."""
    for file in taken.glob("*.parquet"):
        shutil.copyfile(file, tmp_path / file.name)
    shutil.copytree(taken / "runs", tmp_path / "runs")
    spec = tmp_path / "runs" / "taken" / "spec.yaml"
    spec.write_text(spec.read_text().replace(str(taken), str(tmp_path)))
    return tmp_path


@pytest.mark.parametrize("name", ["labels", "added", "units", "lags", "waves"])
def test_resume_and_certify_refuse_other_data(taken: Path, changed: Path, name: str) -> None:
    columns, said, frame = variants(taken, changed)[name]
    frame.to_parquet(changed / f"{FILES[columns]}.parquet")
    at = ("--runs", changed / "runs")
    for command in (("resume", "taken", "--trials", "2"), ("certify", "taken")):
        assert said in refused(*command, *at)
    data = ("--data", changed / f"{FILES[columns]}.parquet")
    assert said in refused("certify", one(taken, columns), *data)


def test_a_search_goes_on_with_other_data_that_is_meant(
    taken: Path, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded with the search and in what is exported; the encoding stays."""
    searches: list[SearchFolder] = []
    monkeypatch.setattr(searching, "_search", searches.append)
    _, _, frame = variants(taken, changed)["added"]
    frame.to_parquet(changed / "numbers.parquet")
    kept = changed / "runs" / "taken" / "encoding"
    before = {file.name: json.loads(file.read_text())["value"] for file in kept.iterdir()}
    done = in_process("resume", "taken", "--other-data", "--runs", str(changed / "runs"))
    assert done.returncode == 0, done.stderr + done.stdout
    after = {file.name: json.loads(file.read_text())["value"] for file in kept.iterdir()}
    (name,) = (name for name in before if after[name] != before[name])
    assert after[name]["encoding"] == before[name]["encoding"]
    assert after[name]["earlier"] == [before[name]["data"]]
    assert after[name]["data"]["rows"] == 1000
    export(changed, "again")
    outcome = json.loads((one(changed, NUMBERS, "again") / "outcome.json").read_text())
    assert outcome["earlier_data"] == [before[name]["data"]]
    assert in_process("resume", "taken", "--runs", str(changed / "runs")).returncode == 0
    assert len(searches) == 2


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
            assert told["success_by_lag", lag] == rate
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
