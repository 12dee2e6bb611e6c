"""What the version before the rooms left behind still goes on, loads and proves itself.

Only by public doors: the command, `trainables.load`, MLflow. See
``tests/fixtures/before_the_rooms/README.md`` for what lies there and how it was made.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import trainables
from tests.search.conftest import in_process, longspan

KEPT = Path(__file__).parents[1] / "fixtures" / "before_the_rooms" / "longspan-before.tar.xz"
MADE_IN = "/tmp/longspan-before"
RECALL, PARQUET = "1-trial-00001-recall", "1-trial-00001-parquet"

pytestmark = pytest.mark.slow


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """All that was kept, in another place; whoever moves data of their own says so in the spec."""
    with tarfile.open(KEPT) as archive:
        archive.extractall(tmp_path, filter="data")
    spec = tmp_path / "runs" / "finished" / "spec.yaml"
    text = spec.read_text()
    assert f"path: {MADE_IN}/signs.parquet" in text
    spec.write_text(text.replace(MADE_IN, str(tmp_path)))
    return tmp_path


def command(*arguments: str | Path, workers: bool = False) -> str:
    """What the command prints, once it has ended well; in this process, unless it has workers."""
    run = longspan if workers else in_process
    done = run(*map(str, arguments))
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def records(runs: Path, name: str) -> dict[int, dict[str, Any]]:
    """Each trial's record, by number."""
    files = (runs / name / "trials").glob("[0-9]*/record.json")
    values = [json.loads(file.read_text())["value"] for file in files]
    return {value["number"]: value for value in values}


def as_before(rows: list[dict[str, Any]], kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what the version before did not measure."""
    return [{key: row[key] for key in kept[0]} for row in rows]


def trial_runs(runs: Path, name: str) -> list[int]:
    """The trial of each run in MLflow that is not deleted."""
    query = (
        "SELECT t.value FROM runs "
        "JOIN tags s ON s.run_uuid = runs.run_uuid AND s.key = 'longspan.search' "
        "JOIN tags t ON t.run_uuid = runs.run_uuid AND t.key = 'longspan.trial' "
        "WHERE runs.lifecycle_stage = 'active' AND s.value = ?"
    )
    identity = json.loads((runs / name / "search.json").read_text())["value"]["id"]
    with closing(sqlite3.connect(runs / "mlflow.db")) as connection:
        return sorted(int(trial) for (trial,) in connection.execute(query, (identity,)))


def test_a_search_that_was_cut_off_goes_on(before: Path) -> None:
    """Trial 1 had ended, 0 was under way, 2 had begun, 3 not been proposed."""
    runs = before / "runs"
    kept = records(runs, "cut-off")
    assert "stopped, 1 of 4 trials ended" in command("status", "cut-off", "--runs", runs)
    command("resume", "cut-off", "--runs", runs, workers=True)
    found = records(runs, "cut-off")
    assert sorted(found) == [0, 1, 2, 3]
    assert all(record["ended_by"] for record in found.values())
    assert found[1] == kept[1]
    for number in (0, 2):
        assert found[number]["configuration"] == kept[number]["configuration"]
    measured = kept[0]["report"]["rows"]
    assert measured, "a trial was cut off in the middle"
    rows = as_before(found[0]["report"]["rows"], measured)
    assert rows[: len(measured)] == measured, "it went on, not over"
    assert trial_runs(runs, "cut-off") == [0, 1, 2, 3]
    assert "finished, 4 of 4 trials ended" in command("status", "cut-off", "--runs", runs)


def test_a_search_that_had_ended_is_made_longer(before: Path) -> None:
    """Its trials stood at the top of the ladder, and climb on from where they stood."""
    runs = before / "runs"
    kept = records(runs, "finished")
    assert {record["ended_by"] for record in kept.values()} == {"top"}
    longer = ("--stop", "16", "--trials", "4")
    command("resume", "finished", *longer, "--runs", runs, workers=True)
    found = records(runs, "finished")
    assert sorted(found) == [0, 1, 2, 3]
    assert all(record["ended_by"] for record in found.values())
    for number, record in kept.items():
        measured = record["report"]["rows"]
        rows = as_before(found[number]["report"]["rows"], measured)
        assert all(row in rows for row in measured), "no rung is climbed twice"
        assert max(row["lag"] for row in rows) == 16
    assert trial_runs(runs, "finished") == [0, 1, 2, 3]


def test_a_search_that_had_ended_is_left_as_it_is(before: Path) -> None:
    runs = before / "runs"
    kept = records(runs, "finished")
    command("resume", "finished", "--runs", runs)
    assert records(runs, "finished") == kept
    assert trial_runs(runs, "finished") == [0, 1, 2]


def test_its_best_is_exported_as_it_was(before: Path) -> None:
    command("export", "finished", "--to", before / "again", "--runs", before / "runs")
    for name in (RECALL, PARQUET):
        then, now = before / "exports" / name, before / "again" / name
        assert (now / "model.safetensors").read_bytes() == (then / "model.safetensors").read_bytes()
        was, became = (json.loads((at / "outcome.json").read_text()) for at in (then, now))
        del was["versions"]  # of the code that exported it
        assert was.items() <= became.items()
        assert "CERTIFICATE.md" in {path.name for path in now.iterdir()}


@pytest.mark.parametrize("name", [RECALL, PARQUET])
def test_an_export_loads_and_proves_its_claim(before: Path, name: str) -> None:
    kept = json.loads((before / "answers.json").read_text())[name]
    inputs = torch.tensor(kept["inputs"])
    scored = torch.full((len(inputs), 1), inputs.shape[1] - 1)
    with torch.inference_mode():
        answers = trainables.load(before / "exports" / name)(inputs, scored)
    torch.testing.assert_close(answers, torch.tensor(kept["answers"]), rtol=1e-4, atol=1e-5)
    data = ["--data", before / "signs.parquet"] if name == PARQUET else []
    said = command("verify", before / "exports" / name, "--seed", "1", *data)
    assert "the claim holds" in said


def test_certify_takes_up_the_certificate_that_is_there(before: Path) -> None:
    """All its members have been tried: none is trained again, and the claim is the same."""
    folder = before / "runs" / "finished" / "certificates" / "seed-0"
    kept = {path: path.read_bytes() for path in folder.rglob("*.json")}
    assert len([path for path in kept if path.parent.name == "members"]) == 6
    said = command("certify", "finished", "--runs", before / "runs")
    assert said.count("4: 3/3, 8: 3/3") == 2
    assert "learned lag" not in said
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == kept
    assert "certified" in command("status", "finished", "--runs", before / "runs")


PREDICT = """
import json, sys
import mlflow, numpy as np
if sys.argv[3] == "today's":
    import trainables
kept = json.loads(sys.stdin.read())
model = mlflow.pyfunc.load_model(sys.argv[1])
inputs = {"inputs": np.array(kept["inputs"], dtype=sys.argv[2])}
print(json.dumps(model.predict(inputs)["answers"].tolist()))
"""


@pytest.mark.parametrize("code", ["its own", "today's"])
@pytest.mark.parametrize(("name", "dtype"), [(RECALL, "int64"), (PARQUET, "float32")])
def test_a_logged_model_predicts(before: Path, name: str, dtype: str, code: str) -> None:
    """By the code that was logged with it, and by today's where that is already imported."""
    (folder,) = (
        found.parents[1]
        for found in (before / "runs" / "mlartifacts" / "models").glob("*/artifacts/data/*")
        if found.name == name.removeprefix("1-")
    )
    kept = json.loads((before / "answers.json").read_text())[name]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREDICT, str(folder), dtype, code],
        input=json.dumps(kept), capture_output=True, text=True, cwd=before, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), kept["answers"], rtol=1e-4, atol=1e-5)
