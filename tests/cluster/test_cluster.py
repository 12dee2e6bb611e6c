"""A real ``ray up`` over three hosts, and everything a user then does, to ``ray down``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
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
from search import UNLESS_TOLD
from search.cluster.connection import JOB_SERVER_PORT, Cluster
from search.cluster.head_node import PORT, USER
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.errors import UserError
from tests.cluster.hosts import Host, missing, three_hosts
from tests.waiting import HANGS

pytestmark = [
    pytest.mark.cluster,
    # Ray's launcher leaves its own files open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = Path(__file__).parents[2]
TRIALS = 12
SPEC = f"""\
name: digits
space: quick
plugins: [meeting]
tasks: [{{kind: parquet, path: digits.parquet, sequence: pixels, target: label}}]
ladder: {{start: 8, stop: 16, members: 1, quorum: 1, sequences: 1200, success: 0.25}}
search: {{trials: {TRIALS}, sampler: random, scheduler: none}}
controls: off
"""

MEETING = """\
import socket
import time
from pathlib import Path

LAYERS = {{}}
PLACE, WORKERS = Path({place!r}), {{"longspan-2", "longspan-3"}}
if socket.gethostname() in WORKERS:
    (PLACE / socket.gethostname()).touch()
    deadline = time.monotonic() + {hangs}
    while {{each.name for each in PLACE.iterdir()}} != WORKERS:
        if time.monotonic() > deadline:
            raise TimeoutError("one of the workers is never given a trial")
        time.sleep(0.05)
"""
"""A plugin that lets a worker's first trial begin once the other worker has one too: trials are
short, and whichever machine is first would else have done them all."""

BUCKET = "export LONGSPAN_BUCKET="

IMAGE = f"""
ln -sfn {sys.prefix} ~/venv
mkdir -m 700 ~/.longspan
cat {ROOT}/pyproject.toml {ROOT}/constraints.txt > ~/.longspan/installed
"""
"""What makes the hosts' setup commands find everything installed: they reach no registry."""

RECORDS = """\
import json
from pathlib import Path
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
records = Ledger(SearchFolder(Path.home() / "runs", "digits")).records.values()
print(json.dumps([[r.number, r.ended_by, r.report.worker.partition(":")[0]] for r in records]))
"""


@dataclass(frozen=True)
class Up:
    """A cluster that is up.

    Attributes:
        laptop: the home, and current folder, of the machine that `ray up` was run on
        bucket: a folder that every machine sees
        idle: the ids of what runs on each host without a cluster
    """

    file: Path
    hosts: list[Host]
    laptop: Path
    bucket: Path
    idle: list[set[int]]

    @property
    def environment(self) -> dict[str, str]:
        """Of a command on the laptop."""
        path = f"{sys.prefix}/bin:{os.environ['PATH']}"
        home = {"HOME": str(self.laptop), "PATH": path, "PYTHONPATH": str(ROOT)}
        outside = {k: v for k, v in os.environ.items() if k not in UNLESS_TOLD}
        return {**outside, **home, "RAY_AUTH_MODE": "token", "COLUMNS": "120"}

    def run(self, *command: str, timeout: float = HANGS, **changed: str) -> str:
        """What a command on the laptop prints; it must succeed."""
        done = self.attempt(*command, timeout=timeout, **changed)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(
        self, *command: str, timeout: float = HANGS, **changed: str
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

    def up(self) -> None:
        """Have the cluster up."""
        self.run("ray", "up", "-y", "--no-config-cache", str(self.file))

    def down(self) -> None:
        """Have nothing of it left on any host."""
        self.run("ray", "down", "-y", str(self.file))
        deadline = time.monotonic() + HANGS
        while left := self.left():
            assert time.monotonic() < deadline, "\n".join(words[:200] for words in left)
            time.sleep(1)

    def left(self) -> list[str]:
        """The command lines of what runs on the hosts beside what ran before the cluster."""
        pairs = zip(self.hosts, self.idle, strict=True)
        return [
            words
            for host, idle in pairs
            for process, words in host.processes().items()
            if process not in idle
        ]

    def tell(self, command: str, *options: str) -> str:
        """What a command on the search prints."""
        return self.run("longspan", command, "digits", "--cluster", str(self.file), *options)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Three hosts, and `ray up` of the file that was made from the one for the cloud."""
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("hosts")
    laptop = folder / "laptop"
    (laptop / ".ray").mkdir(parents=True, mode=0o700)
    with three_hosts(folder, IMAGE) as hosts:
        idle = [set(host.processes()) for host in hosts]
        found = Up(folder / "cluster.yaml", hosts, laptop, folder / "bucket", idle)
        head, *workers = [host.ip for host in hosts]
        options = [word for ip in workers for word in ("--worker", ip)]
        options += ["--head", head, "--user", "root", "--key", str(folder / "key")]
        derived = found.run("longspan", "on-premises", str(ROOT / "cluster.yaml"), *options)
        edited = derived.replace(BUCKET, f"{BUCKET}{found.bucket.as_uri()} ")
        assert edited != derived
        found.file.write_text(edited)
        found.run("ray", "get-auth-token", "--generate")
        found.up()
        yield found


@pytest.fixture
def at_laptop(up: Up, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, in a process on the laptop."""
    return at_laptop_of(up, monkeypatch)


@pytest.fixture(scope="module")
def searched(up: Up) -> Up:
    """The cluster after a search, submitted with the data it names, has ended there."""
    (up.laptop / "digits.parquet").symlink_to(ROOT / "examples" / "data" / "digits.parquet")
    spec = up.laptop / "digits.yaml"
    spec.write_text(SPEC)
    place = up.file.parent / "met"
    place.mkdir()
    meeting = MEETING.format(place=str(place), hangs=HANGS)
    (up.laptop / "meeting.py").write_text(meeting)
    said = up.run("longspan", "search", str(spec), "--cluster", str(up.file))
    assert f"longspan status digits --cluster {up.file}" in said
    assert "data/0/digits.parquet" in said.partition("longspan status")[0]
    said = up.tell("logs", "--follow")
    assert "Ended after" in said
    assert "is behind" not in said, said
    return up


def test_every_trial_ended_and_both_workers_had_some(searched: Up, at_laptop: Cluster) -> None:
    records = records_on(at_laptop)
    assert [number for number, _, _ in records] == list(range(TRIALS))
    assert not [ended for _, ended, _ in records if ended in (None, "error")]
    assert {worker for _, _, worker in records} == {"longspan-2", "longspan-3"}


def test_status_is_asked_of_the_head(searched: Up) -> None:
    assert f"finished, {TRIALS} of {TRIALS} trials ended" in searched.tell("status")


def test_mlflow_on_the_head_holds_all_of_it(searched: Up, at_laptop: Cluster) -> None:
    with client_of(at_laptop) as client:
        assert_mlflow_holds(client, TRIALS)


def test_no_secret_is_written_down(searched: Up, at_laptop: Cluster) -> None:
    """Neither the token nor the password, in what a search leaves and what its processes say."""
    places = "~/runs ~/.longspan/keeper.log /tmp/ray/session_latest/logs"
    for secret in ("~/.ray/auth_token", "~/.longspan/mlflow_password"):
        found = at_laptop.run("bash", "-c", f"grep -rlF -f {secret} {places}", capture_output=True)
        assert (found.stdout, found.returncode) == (b"", 1), found.stderr
    name = at_laptop.run("bash", "-c", f"grep -rlF longspan-2 {places}", capture_output=True)
    assert name.stdout  # what is written down is found


def test_the_winner_comes_to_the_laptop(searched: Up) -> None:
    to = searched.laptop / "best"
    searched.tell("export", "--top", "2", "--to", str(to), "--register", "best")
    first, _ = sorted(to.iterdir())
    assert sum(p.numel() for p in trainables.load(first).parameters()) > 0
    data = str(ROOT / "examples" / "data" / "digits.parquet")
    assert "holds" in searched.run("longspan", "verify", str(first), "--data", data)


@pytest.mark.parametrize("command", ["job list", "status"])
def test_ray_refuses_who_does_not_show_the_token(
    up: Up, at_laptop: Cluster, tmp_path: Path, command: str
) -> None:
    """Both its job server, through the tunnel, and what its own machines talk to."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    with at_laptop.tunnel(JOB_SERVER_PORT) as port:
        at = f"http://127.0.0.1:{port}" if command == "job list" else f"{up.hosts[0].ip}:6379"
        words = ("ray", *command.split(), "--address", at)
        known = up.attempt(*words)
        assert known.returncode == 0, known.stderr
        for mode in ("disabled", "token"):  # none is shown, or another one
            refused = up.attempt(*words, HOME=str(tmp_path), RAY_AUTH_MODE=mode)
            assert refused.returncode != 0
            assert "AuthenticationError" in refused.stderr


def test_a_head_with_another_key_is_not_talked_to(up: Up, at_laptop: Cluster) -> None:
    """The key that the head showed first is the one it must show."""
    with at_laptop.tunnel(PORT):
        pass
    known = up.laptop / ".longspan" / "known_hosts"
    right = known.read_text()
    subprocess.run(["ssh-keygen", "-F", up.hosts[0].ip, "-f", str(known)], check=True)
    other = up.laptop / "other"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(other)], check=True)
    words = other.with_suffix(".pub").read_text().split()[:2]
    known.write_text(f"{up.hosts[0].ip} {' '.join(words)}\n")
    try:
        with pytest.raises(UserError, match="host key is not the one in") as no:
            at_laptop.tunnel(PORT).__enter__()
    finally:
        known.write_text(right)
    assert "\n" not in str(no.value)


def test_mlflow_refuses_who_does_not_sign_in(up: Up, at_laptop: Cluster) -> None:
    with at_laptop.tunnel(PORT) as port:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/create",
            data=json.dumps({"name": "theirs"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=HANGS)
        refused.value.close()
    assert refused.value.code == 401


def test_mlflow_listens_to_the_head_alone(up: Up) -> None:
    """From the network, nobody gets as far as being asked who he is."""
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://{up.hosts[0].ip}:{PORT}/health", timeout=10)


def test_stopped_gone_on_with_and_a_worker_cut_off_for_a_minute(
    searched: Up, at_laptop: Cluster
) -> None:
    """A search made longer, stopped in the middle, made longer again: each trial is there once.

    Those on a machine that the network does not reach end, there or elsewhere, and none by it.
    """
    searched.tell("resume", "--trials", str(TRIALS + 6))
    assert "Stopped" in searched.tell("stop")
    trials = TRIALS + 14
    searched.tell("resume", "--trials", str(trials))
    lost = searched.hosts[2]
    deadline = time.monotonic() + HANGS
    while not any(map(in_a_trial, lost.processes().values())):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    with lost.cut_off():
        time.sleep(60)
    searched.tell("logs", "--follow")
    records = records_on(at_laptop)
    assert [number for number, _, _ in records] == list(range(trials))
    assert not [ended for _, ended, _ in records if ended in (None, "error")]
    with client_of(at_laptop) as client:
        assert_mlflow_holds(client, trials)


def test_setting_up_again_changes_nothing(up: Up, at_laptop: Cluster) -> None:
    """The setup commands may be run on a machine that has been set up; nothing is installed."""
    commands = yaml.safe_load(up.file.read_text())["setup_commands"]
    for command in commands:
        done = at_laptop.run("bash", "-c", command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "apt" not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def gone(searched: Up) -> Up:
    """The cluster after `ray down`: the tests that want it up stand above."""
    searched.down()
    return searched


def test_ray_down_leaves_nothing_running(gone: Up) -> None:
    """Nothing of Ray, MLflow or ours on any of the hosts."""
    assert gone.left() == []


def test_what_the_bucket_holds_goes_on_elsewhere(gone: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a laptop that has a copy of it, and on a new cluster whose head knows nothing."""
    copy = gone.laptop / "copy"
    shutil.copytree(gone.bucket, copy)
    before = len(Ledger(SearchFolder(copy, "digits")).records)
    assert before >= TRIALS
    goes_on = ("longspan", "resume", "digits", "--trials", str(before + 2))
    assert "is behind" not in gone.run(*goes_on, "--runs", str(copy))
    assert_mlflow_holds(MlflowClient(f"sqlite:///{copy / 'mlflow.db'}"), before + 2)

    gone.hosts[0].run(f"rm -r ~/runs ~/.longspan\n{IMAGE}")
    gone.up()
    gone.tell("resume", "--trials", str(before + 2))
    gone.tell("logs", "--follow")
    head = at_laptop_of(gone, monkeypatch)
    assert [number for number, _, _ in records_on(head)] == list(range(before + 2))
    with client_of(head) as client:
        assert_mlflow_holds(client, before + 2)


def in_a_trial(command: str) -> bool:
    """Whether a process's command line is that of a worker with something to do."""
    return command.startswith("ray::") and not any(w in command for w in ("IDLE", "Agent"))


def at_laptop_of(up: Up, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster as this process sees it when it is on the laptop."""
    monkeypatch.setenv("HOME", str(up.laptop))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    return Cluster(up.file)


def records_on(head: Cluster) -> list[tuple[int, str | None, str]]:
    """Number, end and worker of each trial that the head's ledger knows."""
    answer = head.run("python", "-c", RECORDS, capture_output=True, text=True)
    found: list[tuple[int, str | None, str]] = json.loads(answer.stdout)
    return found


@contextlib.contextmanager
def client_of(head: Cluster) -> Iterator[MlflowClient]:
    """MLflow on the head, signed in to."""
    secret = head.run("cat", ".longspan/mlflow_password", capture_output=True, text=True)
    signed_in = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": secret.stdout}
    with head.tunnel(PORT) as port, pytest.MonkeyPatch.context() as patch:
        for name, value in signed_in.items():
            patch.setenv(name, value)
        yield MlflowClient(f"http://127.0.0.1:{port}")


def assert_mlflow_holds(client: MlflowClient, trials: int) -> None:
    """A run for each trial, ended, with what was written of it."""
    experiment = client.get_experiment_by_name("longspan")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(children) == trials
    assert len(runs) == trials + 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all("reach" in run.data.metrics for run in children)
    for run in (children[0], children[-1]):
        artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert "outcomes.parquet" in artifacts
