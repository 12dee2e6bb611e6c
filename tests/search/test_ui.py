"""MLflow's pages: the link leads to the runs, and nothing of the server is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import webbrowser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest
from mlflow.tracking import MlflowClient

from search.commands import reviewing
from search.commands.reviewing import open_when_up
from search.disk.folder import SearchFolder
from search.disk.mlflow_database import (
    FILE,
    SEARCH_TAG,
    page_of_runs,
    page_of_search,
    tracking_uri,
    uri_of,
)
from search.spec import TrackingConfig
from tests.search.conftest import COMMAND, in_process
from tests.search.review.trials import spec
from tests.waiting import answers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> SearchFolder:
    """A search of which MLflow knows one run."""
    folder = SearchFolder(tmp_path_factory.mktemp("runs"), "made")
    folder.create(spec().to_yaml())
    client = MlflowClient(uri_of(folder.runs / FILE))
    artifacts = (folder.runs / "mlartifacts").as_uri()
    experiment = client.create_experiment("longspan", artifact_location=artifacts)
    run = client.create_run(experiment, tags={SEARCH_TAG: folder.identity})
    client.log_metric(run.info.run_id, "reach", 64)
    return folder


def test_the_link_leads_to_the_longest_reach(folder: SearchFolder) -> None:
    page = page_of_runs(folder.runs / FILE, "longspan", folder.identity)
    path, _, query = page.partition("?")
    assert path == "/#/experiments/1/runs"
    shown = parse_qs(query)
    assert (shown["orderByKey"], shown["orderByAsc"]) == (["metrics.`reach`"], ["false"])
    client = MlflowClient(uri_of(folder.runs / FILE))
    assert len(client.search_runs(["1"], shown["searchFilter"][0])) == 1
    assert page_of_runs(folder.runs / FILE, "another") == ""


def test_a_search_has_a_page_of_its_own(folder: SearchFolder) -> None:
    """That of its own run, and not of a trial's."""
    client = MlflowClient(uri_of(folder.runs / FILE))
    (own,) = client.search_runs(["1"])
    tags = {SEARCH_TAG: "another", "mlflow.parentRunId": own.info.run_id}
    client.create_run("1", tags=tags)
    page = page_of_search(folder.runs / FILE, folder.identity)
    assert page.partition("?")[0] == f"/#/experiments/1/runs/{own.info.run_id}"
    assert page_of_search(folder.runs / FILE, "another") == ""


def test_where_mlflow_records_is_one_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spec's word, the environment's, or SQLite beside the searches, which has one address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    own = f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert tracking_uri(None, Path("runs")) == own
    assert tracking_uri("https://a", Path("runs")) == "https://a"
    for said, found in (("https://b", "https://b"), ("sqlite:///runs/mlflow.db", own)):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", said)
        assert tracking_uri(None, Path("runs")) == found
        assert tracking_uri("https://a", Path("runs")) == "https://a"


@pytest.mark.parametrize(
    ("in_spec", "in_environment", "shown"),
    [("https://me:secret@a/x", "https://b", "https://a/x"), (None, "https://b", "https://b")],
)
def test_what_is_recorded_elsewhere_is_shown_there(
    in_spec: str | None,
    in_environment: str,
    shown: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No page of one's own is opened, which would be empty."""
    made = spec().model_copy(update={"tracking": TrackingConfig(uri=in_spec)})
    SearchFolder(tmp_path, "made").create(made.to_yaml())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", in_environment)
    done = in_process("ui", "made", "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"MLflow: {shown} ")
    assert "secret" not in done.stdout


def in_session(leader: int) -> set[int]:
    """The processes that share the group of ``leader``, in which the server was started."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == leader or int(fields[2]) == leader:
            found.add(int(stat.parent.name))
    return found


def test_a_port_that_is_taken_is_one_line(folder: SearchFolder) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = in_process("ui", "made", "--runs", str(folder.runs), "--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--port: {port} is taken; give another" in done.stderr


def test_the_page_is_opened_once_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before, and not if it ends before."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    up = iter((False, False, True))
    monkeypatch.setattr(reviewing, "listens", lambda port: next(up))
    monkeypatch.setattr(reviewing.time, "sleep", lambda _: None)
    open_when_up(SimpleNamespace(poll=lambda: 1), 5000, "http://a")
    assert opened == []
    open_when_up(SimpleNamespace(poll=lambda: None), 5000, "http://a")
    assert (opened, list(up)) == (["http://a"], [])


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_ends_with_all_that_it_started(
    folder: SearchFolder, blow: signal.Signals
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["ui", "made", "--runs", str(folder.runs), "--port", str(port)]
    with subprocess.Popen(
        [str(COMMAND), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as a terminal has it
    ) as command:
        assert command.stdout is not None
        said = command.stdout.readline()
        assert f"http://127.0.0.1:{port}/#/experiments/1/runs?orderByKey=" in said
        while not answers(port):
            assert command.poll() is None
        (server,) = in_session(command.pid) - {command.pid}
        started = in_session(server)
        os.kill(command.pid, blow)
        assert command.wait() == 0
    assert len(started) >= 2
    assert not any(alive(process) for process in started)
    assert not answers(port)


def alive(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
