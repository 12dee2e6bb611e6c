"""A disk that fills up under a search: it stops with one line, and goes on once there is room."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from tests.search.conftest import COMMAND, first, longspan, write_spec
from tests.search.test_search import assert_stores_agree, first_rows, rows
from tests.waiting import HANGS

pytestmark = pytest.mark.slow

TRIALS = 8


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root and leave to mount, for a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk_costs_nothing_measured(small_search: Path, small_disk: Path) -> None:
    spec = write_spec(small_disk, first(TRIALS))
    folder = SearchFolder(small_disk, "small")
    command = [str(COMMAND), "search", str(spec), "--runs", str(small_disk)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        deadline = time.monotonic() + HANGS
        while sum(r.finished for r in Ledger(folder).records.values()) < 3:
            assert driver.poll() is None, driver.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        filler = fill(small_disk)
        _, errors = driver.communicate(timeout=HANGS)
    assert driver.returncode == 2
    assert "No space left on device" in errors.splitlines()[-1]
    assert "longspan resume small" in errors.splitlines()[-1]
    assert not any(r.ended_by == "error" for r in Ledger(folder).records.values())
    filler.unlink()
    done = longspan("resume", "small", "--runs", str(small_disk))
    assert done.returncode == 0, done.stderr + done.stdout
    assert_stores_agree(small_disk, "small", TRIALS)
    assert rows(small_disk, "small") == first_rows(small_search, TRIALS)
