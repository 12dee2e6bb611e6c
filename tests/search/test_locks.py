"""Files that one process holds: nothing in them is lost to one who waits, and nobody waits on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.disk import locks
from search.disk.locks import held, is_held, sign, signed
from search.errors import UserError


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock, and has signed it."""
    lock = tmp_path / "lock"
    lock.write_text("4711")
    command = ["flock", str(lock), "sh", "-c", "echo held; cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()


def test_who_waits_in_vain_is_refused_and_leaves_the_holders_name(
    holder: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    monkeypatch.setattr(locks, "SECONDS_BETWEEN_TRIES", 0.001)
    for seconds in (0.0, 0.02):
        with pytest.raises(UserError, match="busy"):
            held(
                tmp_path / "lock", "busy", seconds, lambda: asked.append(signed(tmp_path / "lock"))
            ).__enter__()
    assert len(asked) > 1
    assert set(asked) == {4711}


def test_who_waits_has_it_once_it_is_free(holder: subprocess.Popen[bytes], tmp_path: Path) -> None:
    def let_go() -> None:
        if holder.stdin is not None and not holder.stdin.closed:
            holder.stdin.close()
            holder.wait()

    with held(tmp_path / "lock", "busy", seconds=600, meanwhile=let_go) as file:
        assert signed(tmp_path / "lock") == 4711
        sign(file)
        assert signed(tmp_path / "lock") not in (None, 4711)


@pytest.mark.parametrize("content", [None, "", "no number", "-3"])
def test_a_lock_that_nobody_signed(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "lock").write_text(content)
    assert signed(tmp_path / "lock") is None


def test_looking_at_a_lock_leaves_no_trace(holder: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert is_held(tmp_path / "lock")
    assert signed(tmp_path / "lock") == 4711
    assert holder.stdin is not None
    holder.stdin.close()
    holder.wait()
    assert not is_held(tmp_path / "lock")
    assert not is_held(tmp_path / "nobody's")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
