"""A running cluster, as the machine that ran `ray up` sees it: by ssh to the head alone.

Ray's job server and MLflow listen on the head alone; what talks to them goes through a tunnel.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from search.cluster.head_node import home
from search.errors import UserError
from trainables.messages import one_line

JOB_SERVER_PORT = 8265
SECONDS_TO_CONNECT = 30.0
HOST_KEYS = "LONGSPAN_HOST_KEYS"
"""Which host keys of a head are taken, in the environment: ssh's own words."""

HOST_KEYS_ALLOWED = ("accept-new", "yes", "no")
"""The first by default: one never seen is kept, and from then on no other is taken."""


class Cluster:
    """The cluster of one cluster file.

    Raises:
        UserError: if the file is none, or this machine lacks what it takes to talk to the cluster.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            config = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"--cluster: {file}: {one_line(error)}") from None
        if not isinstance(config, dict) or "provider" not in config:
            raise UserError(f"--cluster: {file} is not a cluster file as `ray up` takes it")
        os.environ["RAY_AUTH_MODE"] = "token"
        if not Path("~/.ray/auth_token").expanduser().exists():
            raise UserError(
                "--cluster: ~/.ray/auth_token is not there: the token that the cluster asks for; "
                "`ray get-auth-token --generate` makes one before `ray up`"
            )

    @cached_property
    def _ssh(self) -> list[str]:
        """``ssh`` to the head, up to and without the command; as `ray exec` does it."""
        from ray.autoscaler import sdk

        try:
            with contextlib.redirect_stdout(io.StringIO()):
                config = sdk.bootstrap_config(yaml.safe_load(self.file.read_text(encoding="utf-8")))
                address = sdk.get_head_node_ip(str(self.file))
        except Exception as error:  # of the cloud, or of Ray's own launcher
            reason = one_line(error, 200)
            raise UserError(
                f"--cluster: no head of {self.file} is up: {reason}; start it by "
                f"`ray up {self.file}`"
            ) from None
        auth = config["auth"]
        options = [*_host_key_options(), "LogLevel=ERROR"]
        options += ["ExitOnForwardFailure=yes", "ServerAliveInterval=15", "BatchMode=yes"]
        options += [f"ConnectTimeout={SECONDS_TO_CONNECT:.0f}"]
        if auth.get("ssh_proxy_command"):
            options += [f"ProxyCommand={auth['ssh_proxy_command']}"]
        command = ["ssh", *(word for option in options for word in ("-o", option))]
        if auth.get("ssh_private_key"):
            command += ["-i", str(Path(auth["ssh_private_key"]).expanduser())]
        return [*command, f"{auth['ssh_user']}@{address}"]

    def run(self, *words: str, **how: Any) -> subprocess.CompletedProcess[Any]:
        """Run a command on the head, in the cluster's environment."""
        command = f". ~/.longspan/env; {shlex.join(words)}"
        return subprocess.run([*self._ssh, f"bash -c {shlex.quote(command)}"], check=False, **how)

    @contextlib.contextmanager
    def tunnel(self, port: int, local: int | None = None) -> Iterator[int]:
        """A port of this machine that leads to one of the head, for the length of the block.

        Raises:
            UserError: if the head cannot be reached, or the port is taken.
        """
        local = local or _unused_port()
        command = [*self._ssh, "-N", "-L", f"127.0.0.1:{local}:127.0.0.1:{port}"]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                deadline = time.monotonic() + SECONDS_TO_CONNECT
                while not listens(local):
                    if process.poll() is not None or time.monotonic() > deadline:
                        process.kill()
                        reason = _why_not(process.communicate()[1])
                        raise UserError(f"--cluster: {self.file}: no tunnel to the head: {reason}")
                    time.sleep(0.05)
                yield local
            finally:
                process.terminate()

    @contextlib.contextmanager
    def jobs(self) -> Iterator[Any]:
        """Ray's client for jobs, for the length of the block.

        Raises:
            UserError: if the cluster does not answer, or refuses the token.
        """
        from ray.job_submission import JobSubmissionClient

        with self.tunnel(JOB_SERVER_PORT) as port:
            try:
                client = JobSubmissionClient(f"http://127.0.0.1:{port}")
                client.get_version()
            except Exception as error:  # Ray raises RuntimeError, ConnectionError or its own
                reason = one_line(error, 300)
                raise UserError(f"--cluster: {self.file}: Ray refuses: {reason}") from None
            yield client


def _known_hosts() -> Path:
    return home() / "known_hosts"


def _host_key_options() -> list[str]:
    """How ssh takes the head's key.

    Raises:
        UserError: if the environment says something else than ssh knows.
    """
    chosen = os.environ.get(HOST_KEYS, HOST_KEYS_ALLOWED[0])
    if chosen not in HOST_KEYS_ALLOWED:
        allowed = ", ".join(HOST_KEYS_ALLOWED)
        raise UserError(f"{HOST_KEYS}: {one_line(chosen, 50)} is not allowed; allowed: {allowed}")
    known = os.devnull if chosen == "no" else str(_known_hosts()).replace("%", "%%")
    return [f"StrictHostKeyChecking={chosen}", f'UserKnownHostsFile="{known}"']


def _why_not(said: str) -> str:
    """One line of what ssh said; it says a changed key in fifteen."""
    if "Host key verification failed" not in said:
        return one_line(said)
    return (
        f"its host key is not the one in {_known_hosts()}; where that is right, as for a new head "
        "at an old address, take the old one out by `ssh-keygen -R ADDRESS -f FILE`, or set "
        f"{HOST_KEYS}=no to look at none"
    )


def _unused_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
