"""A real ``ray up`` over three hosts, and everything a user then does, to ``ray down``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

import trainables
from search.cluster import JOB_SERVER_PORT, Cluster
from search.head import PORT, USER
from tests.cluster.hosts import Host, missing, three_hosts

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
TRIALS = 24
SPEC = """\
name: digits
space: quick
tasks: [{kind: parquet, path: digits.parquet, sequence: pixels, target: label}]
ladder: {start: 8, stop: 16, members: 1, quorum: 1, sequences: 1200, success: 0.25}
search: {trials: 24, sampler: random, scheduler: none}
controls: off
"""

IMAGE = f"""
ln -sfn {sys.prefix} ~/venv
mkdir -m 700 ~/.longspan
cat {ROOT}/pyproject.toml {ROOT}/constraints.txt > ~/.longspan/installed
"""
"""What makes the hosts' setup commands find everything installed: they reach no registry."""

RECORDS = """\
import json
from pathlib import Path
from search.folder import SearchFolder
from search.ledger import Ledger
records = Ledger(SearchFolder(Path.home() / "runs", "digits")).records.values()
print(json.dumps([[r.number, r.ended_by, r.report["worker"].partition(":")[0]] for r in records]))
"""


@dataclass(frozen=True)
class Up:
    """A cluster that is up.

    Attributes:
        laptop: the home, and current folder, of the machine that `ray up` was run on
    """

    file: Path
    hosts: list[Host]
    laptop: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a command on the laptop."""
        path = f"{sys.prefix}/bin:{os.environ['PATH']}"
        home = {"HOME": str(self.laptop), "PATH": path, "PYTHONPATH": str(ROOT)}
        return {**os.environ, **home, "RAY_AUTH_MODE": "token", "COLUMNS": "120"}

    def run(self, *command: str, timeout: float = 600, **changed: str) -> str:
        """What a command on the laptop prints; it must succeed."""
        done = self.attempt(*command, timeout=timeout, **changed)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(
        self, *command: str, timeout: float = 600, **changed: str
    ) -> subprocess.CompletedProcess[str]:
        """How a command on the laptop ends."""
        return subprocess.run(
            command,
            env=self.environment | changed,
            cwd=ROOT if command[0] == "ray" else self.laptop,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Three hosts, and `ray up` of the file that was made from the one for the cloud."""
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("hosts")
    laptop = folder / "laptop"
    (laptop / ".ray").mkdir(parents=True, mode=0o700)
    with three_hosts(folder, IMAGE) as hosts:
        found = Up(folder / "cluster.yaml", hosts, laptop)
        head, *workers = [host.ip for host in hosts]
        options = [word for ip in workers for word in ("--worker", ip)]
        options += ["--head", head, "--user", "root", "--key", str(folder / "key")]
        found.file.write_text(
            found.run("longspan", "on-premises", str(ROOT / "cluster.yaml"), *options)
        )
        found.run("ray", "get-auth-token", "--generate")
        found.run("ray", "up", "-y", "--no-config-cache", str(found.file))
        yield found


@pytest.fixture
def at_laptop(up: Up, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster as this process sees it when it is on the laptop."""
    monkeypatch.setenv("HOME", str(up.laptop))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    return Cluster(up.file)


@pytest.fixture(scope="module")
def searched(up: Up) -> Up:
    """The cluster after a search, submitted with the data it names, has ended there."""
    (up.laptop / "digits.parquet").symlink_to(ROOT / "examples" / "data" / "digits.parquet")
    spec = up.laptop / "digits.yaml"
    spec.write_text(SPEC)
    said = up.run("longspan", "search", str(spec), "--cluster", str(up.file))
    assert f"longspan status digits --cluster {up.file}" in said
    up.run("longspan", "logs", "digits", "--cluster", str(up.file), "--follow", timeout=900)
    return up


def test_every_trial_ended_and_both_workers_had_some(searched: Up, at_laptop: Cluster) -> None:
    answer = at_laptop.run("python", "-c", RECORDS, capture_output=True, text=True)
    records = json.loads(answer.stdout)
    assert [number for number, _, _ in records] == list(range(TRIALS))
    assert not [ended for _, ended, _ in records if ended in (None, "error")]
    assert {worker for _, _, worker in records} == {"longspan-2", "longspan-3"}


def test_status_is_asked_of_the_head(searched: Up) -> None:
    said = searched.run("longspan", "status", "digits", "--cluster", str(searched.file))
    assert f"finished, {TRIALS} of {TRIALS} trials ended" in said


def test_mlflow_on_the_head_holds_all_of_it(
    searched: Up, at_laptop: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = at_laptop.run("cat", ".longspan/mlflow_password", capture_output=True, text=True)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", secret.stdout)
    with at_laptop.tunnel(PORT) as port:
        client = MlflowClient(f"http://127.0.0.1:{port}")
        experiment = client.get_experiment_by_name("longspan")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], max_results=1000)
        text = json.dumps([{**run.data.params, **run.data.tags} for run in runs])
        children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
        assert len(children) == TRIALS
        assert len(runs) == TRIALS + 1
        assert {run.info.status for run in runs} == {"FINISHED"}
        assert all("reach" in run.data.metrics for run in children)
        artifacts = {file.path for file in client.list_artifacts(children[0].info.run_id)}
        assert "outcomes.parquet" in artifacts
    assert secret.stdout not in text
    assert (searched.laptop / ".ray" / "auth_token").read_text().strip() not in text


def test_the_winner_comes_to_the_laptop(searched: Up) -> None:
    to = searched.laptop / "best"
    name = ("digits", "--cluster", str(searched.file), "--top", "2")
    searched.run("longspan", "export", *name, "--to", str(to))
    first, _ = sorted(to.iterdir())
    assert sum(p.numel() for p in trainables.load(first).parameters()) > 0
    data = str(ROOT / "examples" / "data" / "digits.parquet")
    assert "holds" in searched.run("longspan", "verify", str(first), "--data", data)


@pytest.mark.parametrize("token", [None, "0" * 64])
def test_ray_refuses_who_does_not_show_the_token(
    up: Up, at_laptop: Cluster, tmp_path: Path, token: str | None
) -> None:
    mode = {"RAY_AUTH_MODE": "disabled" if token is None else "token"}
    if token is not None:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text(token)
    with at_laptop.tunnel(JOB_SERVER_PORT) as port:
        address = f"http://127.0.0.1:{port}"
        known = up.attempt("ray", "job", "list", "--address", address)
        assert known.returncode == 0, known.stderr
        refused = up.attempt("ray", "job", "list", "--address", address, HOME=str(tmp_path), **mode)
    assert refused.returncode != 0
    assert "401" in refused.stderr + refused.stdout or "403" in refused.stderr + refused.stdout


def test_mlflow_refuses_who_does_not_sign_in(up: Up, at_laptop: Cluster) -> None:
    with at_laptop.tunnel(PORT) as port:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/create",
            data=json.dumps({"name": "theirs"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        refused.value.close()
    assert refused.value.code == 401


def test_mlflow_listens_to_the_head_alone(up: Up) -> None:
    """From the network, nobody gets as far as being asked who he is."""
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://{up.hosts[0].ip}:{PORT}/health", timeout=10)


def test_stopped_and_gone_on_with(searched: Up, at_laptop: Cluster) -> None:
    """A search made longer, stopped in the middle, gone on with: each trial is there once."""
    at = ("digits", "--cluster", str(searched.file))
    searched.run("longspan", "resume", *at, "--trials", str(TRIALS + 6))
    assert "Stopped" in searched.run("longspan", "stop", *at)
    searched.run("longspan", "resume", *at)
    searched.run("longspan", "logs", *at, "--follow", timeout=900)
    answer = at_laptop.run("python", "-c", RECORDS, capture_output=True, text=True)
    assert [number for number, _, _ in json.loads(answer.stdout)] == list(range(TRIALS + 6))


def test_setting_up_again_changes_nothing(up: Up, at_laptop: Cluster) -> None:
    """The setup commands may be run on a machine that has been set up; nothing is installed."""
    commands = yaml.safe_load(up.file.read_text())["setup_commands"]
    for command in commands:
        done = at_laptop.run("bash", "-c", command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "apt" not in done.stdout + done.stderr


def test_ray_down_leaves_nothing_running(up: Up) -> None:
    """Last of all: nothing of Ray, MLflow or ours on any of the hosts."""
    up.run("ray", "down", "-y", str(up.file))
    deadline = time.monotonic() + 120
    while left := [words for host in up.hosts for words in host.processes() if _is_ours(words)]:
        assert time.monotonic() < deadline, left
        time.sleep(1)


def _is_ours(words: str) -> bool:
    return any(name in words for name in ("ray", "mlflow", "search.keeper", "longspan search"))
