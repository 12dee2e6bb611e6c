"""Short rungs that are lookup tables."""

from __future__ import annotations

import pytest

from tests.trainables.training.stand_ins import seeded
from trainables.controls.seen import seen_share
from trainables.tasks.adding import Adding
from trainables.tasks.parity import Parity

PARITY = Parity(Parity.Config())


@pytest.mark.parametrize(("lag", "least", "most"), [(8, 1.0, 1.0), (16, 0.2, 0.5), (32, 0.0, 0.0)])
def test_parity(lag: int, least: float, most: float) -> None:
    """512 sequences at lag 8, 131,072 at lag 16: 50,000 show all of them, and 32 %."""
    assert least <= seen_share(PARITY, lag, 50_000, seeded()) <= most


def test_fewer_training_sequences_show_less() -> None:
    assert seen_share(PARITY, 8, 512, seeded()) == pytest.approx(1 - 1 / 2.718, abs=0.08)


def test_numbers_are_never_seen_again() -> None:
    assert seen_share(Adding(Adding.Config()), 8, 10_000, seeded()) == 0
