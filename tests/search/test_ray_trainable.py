"""What Tune is told of a trial, also of one that fails, and what it is handed to run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.proposing.budget import Budget
from search.scheduling import tuner
from search.scheduling import worker as ray_trainable
from search.scheduling.machines import here
from search.scheduling.ray_session import RaySession
from search.scheduling.scheduler import COSTS, VALUE
from search.spec import Spec
from trainables.measure.records import MemberRung
from trainables.measure.report import Report

SEARCHED = Spec.model_validate(
    {
        "name": "s",
        "space": "quick",
        "tasks": [{"kind": "recall"}],
        "ladder": {"start": 4, "stop": 8, "members": 1, "quorum": 1, "sequences": 64},
    }
)
SPEC = SEARCHED.model_dump(mode="json")
LSTM = {"model": {"cell": {"kind": "lstm"}, "hidden_size": 4}}


def reports(
    monkeypatch: pytest.MonkeyPatch, folder: Path, configuration: dict[str, Any]
) -> list[dict[str, Any]]:
    """What Tune is told by one trial."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(ray_trainable.tune, "report", told.append)
    ray_trainable.train({"number": 3, "configuration": configuration}, SPEC, str(folder))
    return [json.loads(metrics["report"]) for metrics in told]


def test_a_trial_reports_its_outcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    last = reports(monkeypatch, tmp_path, LSTM)[-1]
    assert last["ended_by"] == "failed_rung"
    assert [row["lag"] for row in last["rows"]] == [4]
    assert last["busy_seconds"] > 0
    assert 0 < last["seconds"] == sum(row["seconds"] for row in last["rows"])


def test_what_schedulers_compare_by_is_told_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Under their names in a row, and never less than before."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(ray_trainable.tune, "report", told.append)
    spec = SEARCHED.model_dump(mode="json") | {
        "ladder": {"start": 4, "stop": 8, "members": 3, "quorum": 1, "sequences": 640}
    }
    ray_trainable.train({"number": 3, "configuration": LSTM}, spec, str(tmp_path))
    assert len(told) > 3
    for key in (*COSTS.values(), "sequences", VALUE):
        assert [each[key] for each in told] == [json.loads(each["report"])[key] for each in told]
    for key in (*COSTS.values(), "sequences"):
        spent = [each[key] for each in told]
        assert spent == sorted(spent)
        rows = json.loads(told[-1]["report"])["rows"]
        assert spent[-1] == pytest.approx(sum(row[key] for row in rows))


def test_a_crash_is_an_outcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half-way through, with what was measured before it."""

    def crash(*arguments: Any) -> None:
        reporter = arguments[2]
        reporter(Report(progress=1.5, training_gflop=2.0), None)
        raise RuntimeError("the sky\nfell")

    monkeypatch.setattr(ray_trainable, "run_trial", crash)
    last = reports(monkeypatch, tmp_path, LSTM)[-1]
    assert last["ended_by"] == "error"
    assert last["error"] == "RuntimeError: the sky fell"
    assert last["progress"] == 1.5


def test_a_configuration_that_builds_nothing_is_an_outcome(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    odd = {"model": {"cell": {"kind": "transformer", "num_heads": 3}, "hidden_size": 4}}
    (last,) = reports(monkeypatch, tmp_path, odd)
    assert last["ended_by"] == "error"
    assert "num_heads" in last["error"]


@pytest.mark.parametrize(("sequences", "trained"), [([], False), ([0, 0], False), ([0, 16], True)])
def test_a_trial_without_a_training_sequence_has_nothing_to_look_at(
    sequences: list[int], trained: bool
) -> None:
    """Its model did not fit into memory or cannot read the first rung: no curve is asked for."""
    rows = tuple(MemberRung("recall", 4, 0, "length", sequences=shown) for shown in sequences)
    assert Record(0, {}, {}, "", 0, 1, "length", None, Report(rows=rows)).trained == trained


def test_a_worker_is_up_before_it_imports_what_a_trial_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else Tune ends it, once another is free, and starts the next one for the next trial."""
    handed: list[Any] = []

    def make(trainable: Any, *_: Any) -> Any:
        handed.append(trainable)
        return SimpleNamespace(fit=lambda: None)

    monkeypatch.setattr(tuner, "make_tuner", make)
    folder = SearchFolder(tmp_path, "s")
    folder.create(SEARCHED.to_yaml())
    ledger = Ledger(folder)
    budget = Budget(SEARCHED.search, ledger)
    tuner.fit(SEARCHED, folder, ledger, RaySession(here(), None), budget)
    program = "import pickle, sys; pickle.load(sys.stdin.buffer); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], input=cloudpickle.dumps(handed[0]), check=True)
