"""MLflow holds what the ledger holds, once, whatever was away in between."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.recording import recorder as recording
from search.recording import sending
from search.recording.notes.of_trial import trial_note
from search.recording.recorder import Recorder
from search.recording.tracker import Tracker
from search.spec import Spec
from trainables.measure.plain import digest
from trainables.measure.report import Report

SPEC = Spec.model_validate(
    {
        "name": "s",
        "space": "quick",
        "tasks": [{"kind": "recall"}],
        "ladder": {"members": 2, "quorum": 2},
    }
)


def row(lag: int, member: int, solved: bool) -> dict[str, Any]:
    return {
        "asked": 0.9, "answers": 2, "chance": 0.5,
        "task": "recall", "lag": lag, "member": member, "solved": solved, "looks": 1,
        "ended_by": "solved" if solved else "budget", "success_rate": 0.99 if solved else 0.25,
        "lower_bound": 0.9 if solved else 0.2, "test_sequences": 512, "sequences": 1000,
        "seconds": 1.0, "training_gflop": 2.0, "parameters": 10, "state_bytes": 4,
        "peak_memory_bytes": 1,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, empty_database: Path) -> SearchFolder:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    folder = SearchFolder(tmp_path, "s")
    folder.create("name: s")
    return folder


@pytest.fixture
def record(folder: SearchFolder) -> Record:
    """A finished trial that passed lag 8 and failed lag 16, as it lies in the ledger."""
    ledger = Ledger(folder)
    configuration = {
        "model": {
            "cell": {"kind": "lstm"}, "hidden_size": 8, "depth": 1, "front_end": {"kind": "none"},
            "positions": {"kind": "none"}, "residual": {"kind": "none"},
            "readout": {"kind": "last"},
        },
        "training": {"learning_rate": 0.001},
    }  # fmt: skip
    ledger.started(0, {"model/cell/kind": "lstm"}, configuration, digest(configuration))
    rows = [row(8, 0, True), row(8, 1, True), row(16, 1, True), row(16, 0, False)]
    curve = [
        {"task": "recall", "lag": lag, "successes": s, "sequences": 128, "learned": lag == 8}
        for lag, s in ((8, 127), (16, 90), (32, 20))
    ]
    trace = [
        {
            "task": "recall",
            "lag": 8,
            "member": 0,
            "sequences": n,
            "loss": 2.0 / n,
            "success_rate": 0.5,
        }
        for n in (32, 64)
    ]
    horizon = [
        {"task": "recall", "moment": moment, "lag": 8, "back": back, "norm": norm / (1 + back)}
        for moment, norm in (("start", 0.5), ("end", 2.0))
        for back in (0, 1, 2, 4, 8)
    ]
    report = {
        "progress": 3.5, "reach": 8, "reaches": {"recall": 8}, "training_gflop": 8.0,
        "rows": rows, "curve": curve, "trace": trace, "busy_seconds": 4.0,
        "horizon": horizon,
    }  # fmt: skip
    ledger.reported(0, Report.from_json(report))
    ledger.finished(0, "failed_rung")
    return ledger.records[0]


def children(folder: SearchFolder) -> tuple[MlflowClient, list[Any]]:
    client = MlflowClient(f"sqlite:///{folder.runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("longspan")
    found = client.search_runs([experiment.experiment_id], "tags.`longspan.trial` = '0'")
    return client, list(found)


def history(client: MlflowClient, run: Any, metric: str) -> list[tuple[int, float]]:
    points = client.get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in points)


def test_metrics_by_lag_and_by_sequence(folder: SearchFolder, record: Record) -> None:
    Tracker(SPEC, folder).send(record)
    client, (run,) = children(folder)
    assert history(client, run, "by_lag/solved_fraction") == [(8, 1.0), (16, 0.5)]
    assert history(client, run, "by_lag/success") == [
        (8, 127 / 128),
        (16, 90 / 128),
        (32, 20 / 128),
    ]
    assert history(client, run, "by_lag/member_1") == [(8, 0.99), (16, 0.99)]
    assert history(client, run, "by_lag/member_0") == [(8, 0.99), (16, 0.25)]
    assert history(client, run, "by_lag/asked") == [(8, 0.9), (16, 0.9)]
    assert history(client, run, "by_lag/chance") == [(8, 0.25), (16, 0.25)]  # of two answers
    assert history(client, run, "by_sequence/success_member_0") == [
        (32, 0.5), (64, 0.5), (1000, 0.99), (4000, 0.25),
    ]  # fmt: skip
    assert history(client, run, "by_sequence/lag_member_0") == [
        (32, 8.0), (64, 8.0), (1000, 8.0), (4000, 16.0),
    ]  # fmt: skip
    assert history(client, run, "by_sequence/success_member_1") == [(2000, 0.99), (3000, 0.99)]
    assert history(client, run, "extrapolated_lag") == [(0, 0.0)]
    assert history(client, run, "by_sequence/loss_member_0") == [(32, 2 / 32), (64, 2 / 64)]
    assert [step for step, _ in history(client, run, "progress")] == [1000, 2000, 3000, 4000]
    assert run.data.tags["ended_by"] == "failed a rung"
    assert run.data.tags["architecture"] == "lstm 8 · read-out last · lr 1.0e-03"
    said = run.data.tags["mlflow.note.content"]
    table = "| lag&ensp; | member 0&ensp; | member 1 |\n|---|---|---|\n"
    assert f"{table}| 8&ensp; | **99.0%**&ensp; | **99.0%** |\n" in said
    assert "| 16&ensp; | 25.0% (budget)&ensp; | **99.0%** |" in said
    early = SPEC.ladder.model_copy(update={"looks": "sequential"})
    row = replace(record.rows[0], success_rate=1.0, test_sequences=64, sequences=0)
    shown = replace(record, report=replace(record.report, rows=(row,)))
    told = trial_note(shown, SPEC.model_copy(update={"ladder": early}), {})
    assert "| 8&ensp; | **100.0% of 64** (without training) |" in told
    picture = f"get-artifact?path=forgetting_curve.png&run_uuid={run.info.run_id}"
    assert f"![forgetting curve]({picture})" in said
    assert run.data.params == {"model/cell/kind": "lstm"}
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    pictures = {"forgetting_curve.png", "gradient_horizon.png"}
    assert names == {"config.yaml", "outcomes.parquet"} | pictures
    assert history(client, run, "by_steps_back/gradient_norm_end") == [
        (0, 2.0), (1, 1.0), (2, 2 / 3), (4, 0.4), (8, 2 / 9),
    ]  # fmt: skip
    assert run.info.start_time == record.started_ms
    assert run.info.end_time == record.ended_ms


def test_a_stopped_trial_gets_its_curve_afterwards_and_once(
    folder: SearchFolder, record: Record
) -> None:
    """Its run has ended by then, in this driver or in an earlier one."""
    stopped = replace(record, ended_by="pruned", report=replace(record.report, final={}))
    tracker = Tracker(SPEC, folder)
    tracker.send(stopped)
    client, (run,) = children(folder)
    assert (run.info.status, history(client, run, "by_lag/success")) == ("FINISHED", [])
    measured = replace(stopped, report=record.report)
    for driver in (tracker, tracker, Tracker(SPEC, folder)):
        driver.send(measured)
    client, (run,) = children(folder)
    assert [lag for lag, _ in history(client, run, "by_lag/success")] == [8, 16, 32]
    assert [lag for lag, _ in history(client, run, "by_lag/solved_fraction")] == [8, 16]
    assert run.info.status == "FINISHED"
    assert run.data.tags["ended_by"] == "stopped"
    assert run.info.run_name == "≥8 · lstm 8"


def test_a_curve_is_recorded_though_the_horizon_ran_out_of_memory(
    folder: SearchFolder, record: Record
) -> None:
    """The trial was looked at; nothing came of its horizon, and it has no picture."""
    found = record.report.final["recall"]
    without = replace(record.report, final={"recall": replace(found, horizon=())})
    looked_at = replace(record, report=without)
    assert looked_at.looked_at
    tracker = Tracker(SPEC, folder)
    tracker.send(looked_at)
    tracker.end([looked_at], finished=True)
    client, (run,) = children(folder)
    assert [lag for lag, _ in history(client, run, "by_lag/success")] == [8, 16, 32]
    assert history(client, run, "by_steps_back/gradient_norm_end") == []
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert "forgetting_curve.png" in names
    assert "gradient_horizon.png" not in names


def test_the_best_are_laid_over_each_other_on_the_search(
    folder: SearchFolder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pictures on the parent, each with a label a trial; beside the report and its own."""
    drawn: dict[str, list[str]] = {}
    for name in ("forgetting_curves", "gradient_horizons"):
        draw: Any = getattr(sending, name)

        def kept(by_label: dict[str, Any], *rest: Any, name: str = name, draw: Any = draw) -> bytes:
            drawn[name] = list(by_label)
            return bytes(draw(by_label, *rest))

        monkeypatch.setattr(sending, name, kept)
    other = replace(record, number=1, report=replace(record.report, progress=3.2))
    Tracker(SPEC, folder).end([other, record], finished=True)
    assert [label.split(":")[0] for label in drawn["forgetting_curves"]] == ["0", "1"]
    assert drawn["gradient_horizons"] == drawn["forgetting_curves"]
    client = MlflowClient(f"sqlite:///{folder.runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("longspan")
    (parent,) = client.search_runs([experiment.experiment_id])
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    pictures = {"forgetting_curves.png", "gradient_horizons.png", "pictures"}
    assert pictures | {"report.html", "leaderboard.md"} <= names
    drawn_too = {
        artifact.path for artifact in client.list_artifacts(parent.info.run_id, "pictures")
    }
    assert {"pictures/pareto.png", "pictures/ends.png"} <= drawn_too


def test_sent_again_by_another_driver_nothing_doubles(
    folder: SearchFolder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that died before it could end the run; the next finds the run and sends it all."""
    with monkeypatch.context() as patched:
        patched.setattr(sending, "end", lambda *_: (_ for _ in ()).throw(OSError("died")))
        with pytest.raises(OSError, match="died"):
            Tracker(SPEC, folder).send(record)
    Tracker(SPEC, folder).send(record)
    Tracker(SPEC, folder).send(record)
    client, (run,) = children(folder)
    assert run.info.status == "FINISHED"
    assert history(client, run, "by_lag/solved_fraction") == [(8, 1.0), (16, 0.5)]
    assert history(client, run, "by_sequence/loss_member_0") == [(32, 2 / 32), (64, 2 / 64)]


def test_a_server_that_is_away_loses_nothing(
    folder: SearchFolder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setattr(
            Tracker, "connect", lambda self: (_ for _ in ()).throw(MlflowException("refused"))
        )
        away.setattr(recording, "SECONDS_BEFORE_RETRY", 0.05)
        recorder = Recorder(SPEC, folder)
        recorder.start([record])
        behind = recorder.close([record], finished=True)
    assert behind is not None
    assert "refused" in behind
    assert "longspan resume s" in behind
    recorder = Recorder(SPEC, folder)
    recorder.start(list(Ledger(folder).records.values()))
    assert recorder.close([record], finished=True) is None
    client, (run,) = children(folder)
    assert history(client, run, "by_lag/solved_fraction") == [(8, 1.0), (16, 0.5)]


def test_searches_of_one_name_in_two_places_do_not_mix(
    folder: SearchFolder, record: Record, tmp_path: Path
) -> None:
    """A tracking server shared by two runs folders holds both."""
    shared = SPEC.model_copy(
        update={"tracking": SPEC.tracking.model_copy(update={"uri": f"sqlite:///{tmp_path}/x.db"})}
    )
    elsewhere = SearchFolder(tmp_path / "elsewhere", "s")
    elsewhere.create("name: s")
    for there in (folder, elsewhere):
        Tracker(shared, there).send(record)
    client = MlflowClient(f"sqlite:///{tmp_path}/x.db")
    experiment = client.get_experiment_by_name("longspan")
    assert len(client.search_runs([experiment.experiment_id])) == 4
