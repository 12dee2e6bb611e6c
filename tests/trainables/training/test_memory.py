"""Peak memory of a stretch of work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainables.training.stand_ins import CPU
from trainables.training import memory

MIB = 2**20


FRESH = """
import torch
from trainables.training import memory
cpu = torch.device("cpu")
memory.reset_peak(cpu)
before = memory.peak_bytes(cpu)
block = bytearray(512 * 2**20)
block[::4096] = b"x" * (len(block) // 4096)
del block
used = memory.peak_bytes(cpu)
memory.reset_peak(cpu)
print(before, used, memory.peak_bytes(cpu))
"""


def resets() -> bool:
    """Whether this host lets a process reset its peak."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def test_the_peak_holds_what_was_used_and_is_forgotten_at_a_reset() -> None:
    """512 MiB, touched and given back, in a process whose memory nothing else has used before.

    The margins are what the kernel may take from an idle process meanwhile. The allocator gives
    back at once what is freed: a search's own settings, which tests leave behind, tell it not to.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH], capture_output=True, text=True, check=True, env=plain
    )
    before, used, after = map(int, fresh.stdout.split())
    peaks = f"{before=} {used=} {after=} {resets()=}"
    assert used >= before + 400 * MIB, peaks
    assert after <= used - 400 * MIB if resets() else after == used, peaks


def test_without_proc_the_peak_is_the_processs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "no" / "folder")
    memory.reset_peak(CPU)
    assert memory.peak_bytes(CPU) > 10 * MIB
