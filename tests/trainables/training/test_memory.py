"""Peak memory of a stretch of work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainables.training.stand_ins import CPU
from trainables.training import memory

MIB = 2**20


def test_the_peak_holds_what_was_used_and_is_forgotten_at_a_reset() -> None:
    """Where the host lets its peak be reset: 64 MiB, touched and given back."""
    memory.reset_peak(CPU)
    before = memory.peak_bytes(CPU)
    block = bytearray(64 * MIB)
    block[::4096] = b"x" * (len(block) // 4096)
    del block
    used = memory.peak_bytes(CPU)
    assert used >= before + 60 * MIB
    memory.reset_peak(CPU)
    after = memory.peak_bytes(CPU)
    assert after in (used, pytest.approx(before, abs=30 * MIB))


def test_without_proc_the_peak_is_the_processs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "no" / "folder")
    memory.reset_peak(CPU)
    assert memory.peak_bytes(CPU) > 10 * MIB
