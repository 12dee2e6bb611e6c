"""What runs on a cluster's head beside Ray: MLflow's server, and the copy of all runs in a bucket.

``python -m search.cluster.head_services`` starts both, in place of any that run already, and
returns once MLflow answers. They end when Ray has ended on this machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TextIO

from search.cluster.bucket_mirror import Mirror, fetch
from search.cluster.head_node import PORT, USER, home, secret
from search.disk.locks import held, sign, signed
from search.disk.mlflow_database import FILE, FOLDER, SERVED, follow, set_aside_if_damaged, uri_of
from search.errors import UserError
from trainables.files.whole_files import write_aside

SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_BETWEEN_COPIES = 60.0
SECONDS_WITHOUT_RAY = 30.0
SECONDS_TO_START = 180.0
SECONDS_TO_END = 180.0
"""For a keeper that was asked to: it brings the bucket up to date first."""


def start() -> None:
    """Start what runs beside Ray, and wait for MLflow.

    Raises:
        SystemExit: if MLflow does not answer, with where its log is.
    """
    end_earlier()
    log = _log()
    with log.open("ab") as out:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "search.cluster.head_services", "keep"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + SECONDS_TO_START
    while not _answers():
        if keeper.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"MLflow does not answer at 127.0.0.1:{PORT}; its log is {log}")
        time.sleep(0.5)


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def end_earlier() -> None:
    """End a keeper that runs already, and wait until it has.

    Raises:
        UserError: if it does not end.
    """
    with _alone(meanwhile=_ask_to_end):
        pass


def _ask_to_end() -> None:
    """Ask the keeper that runs; another process may have its number by now."""
    keeper = signed(_lock())
    if keeper is not None and _command(keeper).endswith(b"\0keep\0"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGTERM)


def _alone(meanwhile: Callable[[], None] | None = None) -> AbstractContextManager[TextIO]:
    refusal = (
        f"{_lock()}: process {signed(_lock())} keeps it, and has not ended after "
        f"{SECONDS_TO_END:.0f} s; its log is {_log()}"
    )
    return held(_lock(), refusal, SECONDS_TO_END, meanwhile)


def _lock() -> Path:
    return home() / "keeper.lock"


def _log() -> Path:
    return home() / "keeper.log"


def _command(process: int) -> bytes:
    """The command line of a process; nothing where there is none."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def keep() -> None:
    """Keep MLflow up and the bucket up to date until Ray has ended here, or SIGTERM.

    Raises:
        UserError: if another keeper does not end.
    """
    with _alone() as lock:
        sign(lock)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        runs = Path(os.environ["LONGSPAN_RUNS"])
        runs.mkdir(parents=True, exist_ok=True)
        bucket = os.environ.get("LONGSPAN_BUCKET") or None
        if bucket and not any(runs.iterdir()):
            fetch(bucket, runs)
        set_aside_if_damaged(runs / FILE)
        follow(runs / FILE, SERVED)
        with served(runs):
            _keep(Mirror(runs, bucket) if bucket else None)


def _keep(mirror: Mirror | None) -> None:
    seen = copied = time.monotonic()
    try:
        while time.monotonic() - seen < SECONDS_WITHOUT_RAY:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            now = time.monotonic()
            seen = now if _ray_runs() else seen
            if mirror and now - copied >= SECONDS_BETWEEN_COPIES:
                mirror.update()
                copied = time.monotonic()
    finally:
        if mirror:
            mirror.update()


def _ray_runs() -> bool:
    """Whether the cluster whose head this is answers."""
    try:
        host, port = (
            Path("/tmp/ray/ray_current_cluster").read_text(encoding="utf-8").strip().rsplit(":", 1)
        )
        with socket.create_connection((host, int(port)), timeout=5):
            return True
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def served(runs: Path) -> Iterator[None]:
    """MLflow's server over ``runs``, started again whenever it dies, for the length of the block.

    It answers this machine only, to requests with the password only.
    """
    group = home() / "mlflow.group"
    _end_left_over(group)
    loop = subprocess.Popen(
        ["/bin/sh", "-c", 'while :; do "$@"; sleep 1; done', "mlflow", *_server_command(runs)],
        env={**os.environ, **_server_environment()},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    write_aside(group, str(loop.pid).encode())
    try:
        yield
    finally:
        os.killpg(loop.pid, signal.SIGTERM)
        try:
            loop.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(loop.pid, signal.SIGKILL)


def _end_left_over(group: Path) -> None:
    """End the server of a keeper that was killed."""
    with contextlib.suppress(OSError, ValueError):
        leader = int(group.read_text(encoding="utf-8"))
        if b"mlflow" in _command(leader):
            os.killpg(leader, signal.SIGTERM)


def _server_command(runs: Path) -> list[str]:
    database = os.environ.get("LONGSPAN_DATABASE") or uri_of(runs / FILE)
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"]
    command += ["--host", "127.0.0.1", "--port", str(PORT), "--workers", "2"]
    command += ["--allowed-hosts", "127.0.0.1:*,localhost:*"]
    command += ["--backend-store-uri", database]
    return [*command, "--artifacts-destination", str(runs / FOLDER)]


def _server_environment() -> dict[str, str]:
    config = home() / "mlflow_users.ini"
    write_aside(
        config,
        "[mlflow]\n"
        "default_permission = NO_PERMISSIONS\n"
        f"database_uri = sqlite:///{home() / 'mlflow_users.db'}\n"
        f"admin_username = {USER}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 60\n".encode(),
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": secret("mlflow_password"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secret("mlflow_flask_key"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


if __name__ == "__main__":
    try:
        keep() if sys.argv[1:] == ["keep"] else start()
    except UserError as error:
        sys.exit(str(error))
