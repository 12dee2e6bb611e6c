"""One keeper on a head: the earlier one is asked to end, and waited for, but not for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.cluster import head_services
from search.cluster.head_services import end_earlier, keep
from search.disk import locks
from search.disk.locks import signed
from search.errors import UserError

HOLDS = """\
import signal, sys
from pathlib import Path
from search.disk.locks import held, sign
if sys.argv[-2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with held(Path("keeper.lock"), "busy") as lock:
    sign(lock)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(head_services, "home", lambda: tmp_path)
    monkeypatch.setattr(locks, "SECONDS_BETWEEN_TRIES", 0.01)
    return tmp_path / "keeper.lock"


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(lock: Path) -> Iterator[Start]:
    """Start another process that holds and has signed the lock."""
    started = []

    def begin(*words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, *words],
            cwd=lock.parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_an_earlier_keeper_is_ended(lock: Path, start: Start) -> None:
    keeper = start("hears", "keep")
    end_earlier()
    assert keeper.wait() == -signal.SIGTERM


def test_one_that_does_not_end_is_named_and_not_waited_for_any_longer(
    lock: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_services, "SECONDS_TO_END", 0.1)
    keeper = start("deaf", "keep")
    for waits in (end_earlier, keep):
        with pytest.raises(UserError) as caught:
            waits()
        assert f"{lock}: process {keeper.pid} keeps it" in str(caught.value)
        assert "keeper.log" in str(caught.value)
        assert signed(lock) == keeper.pid, "its name stands"
    assert keeper.poll() is None


def test_another_process_of_that_number_is_left_alone(
    lock: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder has not signed yet; who signed before it has ended, and its number goes round."""
    monkeypatch.setattr(head_services, "SECONDS_TO_END", 0.1)
    start("deaf", "keep")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as stranger:
        lock.write_text(str(stranger.pid))
        with pytest.raises(UserError):
            end_earlier()
        assert stranger.poll() is None
        assert stranger.stdin is not None
        stranger.stdin.close()
