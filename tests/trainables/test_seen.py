"""Short rungs that are lookup tables."""

from __future__ import annotations

import pytest
import torch

from tests.trainables.training.stand_ins import seeded
from trainables.controls import seen
from trainables.controls.seen import seen_share
from trainables.tasks.adding import Adding
from trainables.tasks.parity import Parity
from trainables.tasks.task import Batch

PARITY = Parity(Parity.Config())


@pytest.mark.parametrize(("lag", "least", "most"), [(8, 1.0, 1.0), (16, 0.2, 0.5), (32, 0.0, 0.0)])
def test_parity(lag: int, least: float, most: float) -> None:
    """512 sequences at lag 8, 131,072 at lag 16: 50,000 show all of them, and 32 %."""
    assert least <= seen_share(PARITY, lag, 50_000, seeded()) <= most


def test_fewer_training_sequences_show_less() -> None:
    assert seen_share(PARITY, 8, 512, seeded()) == pytest.approx(1 - 1 / 2.718, abs=0.08)


def test_numbers_are_never_seen_again() -> None:
    assert seen_share(Adding(Adding.Config()), 8, 10_000, seeded()) == 0


def test_no_more_is_drawn_at_a_time_than_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """At lag 16 all 512 test sequences, and three at a time: the share is that of as many."""
    drawn: list[int] = []

    class Watched(Parity):
        def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
            drawn.append(batch_size)
            return super().sample(lag, batch_size, generator)

    watched = Watched(Parity.Config())
    whole = seen_share(watched, 16, 50_000, seeded())
    assert drawn == [50_000, 512]
    monkeypatch.setattr(seen, "STEPS_AT_ONCE", 3 * watched.length(16))
    assert seen_share(watched, 16, 50_000, seeded()) == pytest.approx(whole, abs=0.1)
    assert drawn[3:] == [3] * 170 + [2]
