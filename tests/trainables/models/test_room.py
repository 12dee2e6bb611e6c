"""What is trained on at a time: by the memory given, and with the same outcome."""

from __future__ import annotations

import math

import pytest
import torch

from tests.trainables.training.stand_ins import CPU, recall, seeded, trial_config
from trainables.models import room
from trainables.models.model import build
from trainables.models.room import SHORTEST, Room, bytes_a_step, kept_bytes
from trainables.randomness import Streams
from trainables.training.member import Member

MIB = 2.0**20


def room_of(total: float, cell: str = "lstm", hidden_size: int = 8) -> Room:
    config = trial_config(cell, hidden_size=hidden_size)
    return Room(build(config.model, recall(), seed=0), total)


def test_each_stretch_of_memory_is_counted_once() -> None:
    """The product keeps both factors, one a view of the other; the exponential its result."""
    x = torch.ones(1000, requires_grad=True)
    kept = kept_bytes(lambda: (x * x[:500].repeat(2)).exp())
    assert kept == 4000 + 4000 + 4000 + 3 * room.OF_A_NODE + 4000


def test_without_a_limit_nothing_is_cut_or_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "bytes_a_step", None)
    assert room_of(math.inf).steps(1000, 2**24) is None
    assert room_of(2.0**40).steps(32, 2**10) is None


@pytest.mark.parametrize("cell", ["lstm", "lru", "gru"])
def test_segments_are_as_long_as_the_memory_allows(cell: str) -> None:
    small, large = room_of(16 * MIB, cell), room_of(64 * MIB, cell)
    fits = int(8 * MIB / (room.TEMPORARY * bytes_a_step(small.model)))
    assert small.steps(1, fits - 1) is None
    assert small.steps(1, fits + 1) is not None
    lengths = [(small.steps(8, 2**k) or 2**k, large.steps(8, 2**k) or 2**k) for k in (12, 16, 20)]
    assert all(SHORTEST <= few < many for few, many in lengths[1:])
    assert lengths[2][0] * 8 * bytes_a_step(small.model) <= 8 * MIB
    assert room_of(1.0, cell).steps(8, 2**20) == SHORTEST


def test_what_attends_is_never_cut() -> None:
    assert room_of(1.0, "transformer").steps(8, 2**20) is None


@pytest.mark.parametrize("cell", ["lstm", "min_gru"])
def test_a_member_short_of_memory_learns_the_same(cell: str) -> None:
    """Three steps of Adam at a lag of 300, in segments of 64 and whole; sums differ in order."""
    members = [
        Member(trial_config(cell), recall(), Streams(0, "0" * 64), 0, 300, CPU, memory)
        for memory in (math.inf, 1.0)
    ]
    assert members[1]._room.steps(16, 301) == SHORTEST
    for step in range(3):
        batch = recall().sample(300, 16, seeded(step))
        (loss, right), (cut_loss, cut_right) = (member.learn(batch) for member in members)
        assert (cut_loss, cut_right) == (pytest.approx(loss, abs=1e-4), right)
    for whole, cut in zip(*(member.model.parameters() for member in members), strict=True):
        torch.testing.assert_close(cut, whole, rtol=0, atol=2e-3)


@pytest.mark.parametrize("cell", ["lru", "min_gru"])
def test_a_member_short_of_memory_learns_the_same_in_forward_mode(cell: str) -> None:
    """Three steps of Adam at a lag of 300 in 3 MiB, of which traces may take a quarter."""
    config = trial_config(cell, hidden_size=32)
    members = [
        Member(config, recall(), Streams(0, "0" * 64), 0, 300, CPU, memory)
        for memory in (math.inf, 3 * MIB)
    ]
    for step in range(3):
        batch = recall().sample(300, 16, seeded(step))
        assert members[1]._room.steps(16, 301) is not None
        assert members[1]._room.traced(301, batch.scored)
        (loss, right), (traced_loss, traced_right) = (member.learn(batch) for member in members)
        assert (traced_loss, traced_right) == (pytest.approx(loss, abs=1e-4), right)
    for whole, traced in zip(*(member.model.parameters() for member in members), strict=True):
        torch.testing.assert_close(traced, whole, rtol=0, atol=2e-3)


def test_segments_stand_in_where_forward_mode_would_not_do() -> None:
    """No gradient is asked; answers everywhere; traces too large; more of them than of weights."""
    last = torch.full((8, 1), 4095)
    room = room_of(32 * MIB, "min_gru", 32)
    assert room.traced(4096, last)
    with torch.no_grad():
        assert not room.traced(4096, last)
    assert not room.traced(4096, torch.arange(4096).expand(8, -1))
    assert not room_of(1.0, "min_gru", 32).traced(4096, last)
    assert not room_of(32 * MIB, "gru", 32).traced(4096, last)
    assert not room_of(32 * MIB, "s4d", 32).traced(4096, last)
