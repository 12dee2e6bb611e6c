"""Recording with a real server that dies, loses its database, or never was there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.store.tracking.rest_store import RestStore
from mlflow.tracking import MlflowClient

from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.record import Record
from search.recording import recorder as recording
from search.recording import sending
from search.recording.parent import place, telling
from search.recording.recorder import Recorder
from search.recording.tracker import Tracker
from search.spec import Spec
from tests.search.test_recording import SPEC, folder, record
from tests.waiting import HANGS
from trainables.files.whole_files import write_json

__all__ = ["folder", "record"]  # fixtures

TRIALS = 6
SERVER_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # as under `longspan ui` and on a cluster's head
}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report and all pictures take seconds, and follow from the ledger as all else does."""
    monkeypatch.setattr(telling, "report", lambda *_: b"")
    monkeypatch.setattr(telling, "stills", lambda *_: [])
    monkeypatch.setattr(sending, "forgetting_curves", lambda *_: b"drawn")
    monkeypatch.setattr(sending, "gradient_horizons", lambda *_: b"drawn")


class Server:
    """``mlflow server`` over an SQLite file, in processes of its own."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "server.db"
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._artifacts = folder / "artifacts"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.database}"]
        command += ["--artifacts-destination", str(self._artifacts)]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **SERVER_ENVIRONMENT},
        )
        deadline = time.monotonic() + HANGS
        while not self._answers():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def kill(self) -> None:
        """As ``kill -9`` of the server and of its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


def recorded_at(uri: str) -> Spec:
    return SPEC.model_copy(update={"tracking": SPEC.tracking.model_copy(update={"uri": uri})})


def several(folder: SearchFolder, record: Record, count: int = TRIALS) -> list[Record]:
    for number in range(1, count):
        outcomes.write(folder.outcomes, number, record.digest, record.rows)
    return [replace(record, number=number) for number in range(count)]


def assert_holds_all_once(uri: str, folder: SearchFolder, records: list[Record]) -> None:
    """A parent and a child for each trial, each metric as often as the record has it."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("longspan")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    parents = [run for run in runs if "longspan.trial" not in run.data.tags]
    children = [run for run in runs if "longspan.trial" in run.data.tags]
    assert len(parents) == 1
    numbers = sorted(int(run.data.tags["longspan.trial"]) for run in children)
    assert numbers == [record.number for record in records]
    for run in children:
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert run.data.params == {"model/cell/kind": "lstm"}
        for metric, count in (
            ("by_sequence/loss_member_0", 2),
            ("by_lag/solved_fraction", 2),
            ("by_lag/success", 3),
        ):
            assert len(client.get_metric_history(run.info.run_id, metric)) == count
        names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        assert names == {
            "config.yaml",
            "outcomes.parquet",
            "forgetting_curve.png",
            "gradient_horizon.png",
        }


@pytest.mark.slow
def test_a_server_killed_restarted_and_then_emptied(
    server: Server, folder: SearchFolder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away at first, killed in the middle, then with a new database: all is there, once."""
    monkeypatch.setattr(recording, "SECONDS_BETWEEN_UPDATES", 0.1)
    monkeypatch.setattr(recording, "SECONDS_BEFORE_RETRY", 0.2)
    records = several(folder, record)
    recorder = Recorder(recorded_at(server.uri), folder)
    recorder.start(records[:1])
    time.sleep(0.5)  # away
    server.start()
    for fresh in records[1:3]:
        recorder(fresh)
    _wait_for(server, 3)
    recorder(records[3])
    server.kill()
    recorder(records[4])
    time.sleep(0.5)
    server.start()
    recorder(records[5])
    _wait_for(server, TRIALS)
    assert_running_search_holds(server, TRIALS)
    server.kill()
    server.database.unlink()
    server.start()
    assert recorder.close(records, finished=True) is None
    assert_holds_all_once(server.uri, folder, records)


def _wait_for(server: Server, trials: int) -> None:
    deadline = time.monotonic() + HANGS
    while len(_children(server)) < trials:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _children(server: Server) -> list[Any]:
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("longspan")
    if experiment is None:
        return []
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return [run for run in runs if "longspan.trial" in run.data.tags]


def assert_running_search_holds(server: Server, trials: int) -> None:
    numbers = sorted(int(run.data.tags["longspan.trial"]) for run in _children(server))
    assert numbers == list(range(trials))


def test_a_port_where_nobody_listens(
    folder: SearchFolder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the whole search: one line says so, and the next resume sends it all."""
    monkeypatch.setattr(recording, "SECONDS_BEFORE_RETRY", 0.1)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    recorder = Recorder(recorded_at(uri), folder)
    recorder.start([record])
    behind = recorder.close([record], finished=True)
    assert behind is not None
    assert "\n" not in behind
    assert uri in behind
    recorder = Recorder(SPEC, folder)
    recorder.start(list(Ledger(folder).records.values()))
    assert recorder.close([record], finished=True) is None
    assert_holds_all_once(f"sqlite:///{folder.runs / 'mlflow.db'}", folder, [record])


REQUESTS = ["create_run", "log_batch", "set_terminated", "log_text", "update_run", "set_tag"]


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("which", [0, 1, 3])
def test_a_server_that_does_it_and_dies_before_it_answers(
    folder: SearchFolder,
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
    request_: str,
    which: int,
) -> None:
    """What was done is found again; nothing is done twice."""
    monkeypatch.setattr(recording, "SECONDS_BETWEEN_UPDATES", 0.01)
    monkeypatch.setattr(recording, "SECONDS_BEFORE_RETRY", 0.01)
    monkeypatch.setattr(recording, "SECONDS_BEFORE_CLOSING_AGAIN", 0.0)
    asked, do = [0], getattr(MlflowClient, request_)

    def done_but_not_answered(*arguments: Any, **options: Any) -> Any:
        answer = do(*arguments, **options)
        asked[0] += 1
        if asked[0] == which + 1:
            raise ConnectionError("the server is gone")
        return answer

    monkeypatch.setattr(MlflowClient, request_, done_but_not_answered)
    records = several(folder, record, 2)
    recorder = Recorder(SPEC, folder)
    recorder.start(records)
    assert recorder.close(records, finished=True) is None
    assert_holds_all_once(f"sqlite:///{folder.runs / 'mlflow.db'}", folder, records)


@pytest.mark.parametrize(("where", "held"), [("cluster", True), ("", False)])
def test_a_search_on_a_cluster_ends_only_when_its_server_is_up_again(
    folder: SearchFolder, record: Record, monkeypatch: pytest.MonkeyPatch, where: str, held: bool
) -> None:
    """It is started again there, and nobody is told to resume; a laptop's user is told at once."""
    monkeypatch.setenv("LONGSPAN_RAY", where)
    monkeypatch.setattr(place, "tracking_environment", lambda: {})
    monkeypatch.setattr(recording, "SECONDS_BEFORE_CLOSING_AGAIN", 0.0)
    asked, connect = [0], Tracker.connect

    def away_at_first(tracker: Tracker) -> MlflowClient:
        asked[0] += 1
        if asked[0] < 30:
            raise ConnectionError("refused")
        return connect(tracker)

    monkeypatch.setattr(Tracker, "connect", away_at_first)
    recorder = Recorder(SPEC, folder)
    recorder.start([record])
    behind = recorder.close([record], finished=True)
    assert (behind is None) == held
    if held:
        assert_holds_all_once(f"sqlite:///{folder.runs / 'mlflow.db'}", folder, [record])
    else:
        assert "refused" in str(behind)


def test_a_double_made_by_a_lost_answer_is_taken_out(folder: SearchFolder, record: Record) -> None:
    tracker = Tracker(SPEC, folder)
    tracker.begin()
    tracker._make_run(tracker.connect(), record)
    tracker.send(record)
    again = Tracker(SPEC, folder)
    again.send(record)
    assert_holds_all_once(f"sqlite:///{folder.runs / 'mlflow.db'}", folder, [record])


def test_a_trial_that_went_on_replaces_its_run(folder: SearchFolder, record: Record) -> None:
    """Up a longer ladder: the old curve is not mixed with the new one."""
    at_the_top = replace(record, ended_by="top")
    write_json(folder.trial(0) / "record.json", at_the_top.to_json())
    Tracker(SPEC, folder).send(at_the_top)
    ledger = Ledger(folder)
    ledger.reopen(stop=10**9)
    Tracker(SPEC, folder).send(ledger.records[0])
    (run,) = _runs(folder)
    assert run.info.status == "RUNNING"
    longer = replace(record.report, reach=16, ended_by="top")
    ledger.reported(0, longer)
    ledger.finished(0, "top")
    Tracker(SPEC, folder).send(ledger.records[0])
    (run,) = _runs(folder)
    assert run.data.metrics["reach"] == 16
    assert run.data.tags["ended_by"] == "passed the top"
    assert_holds_all_once(f"sqlite:///{folder.runs / 'mlflow.db'}", folder, [record])


def _runs(folder: SearchFolder) -> list[Any]:
    client = MlflowClient(f"sqlite:///{folder.runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("longspan")
    return list(client.search_runs([experiment.experiment_id], "tags.`longspan.trial` = '0'"))


def test_no_request_is_repeated_behind_our_back(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client would make a second run where the answer to the first is lost."""
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    monkeypatch.setattr(RestStore, "get_experiment_by_name", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Tracker(recorded_at("http://127.0.0.1:9"), folder).connect()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
