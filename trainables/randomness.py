"""Where every random number comes from.

One root, (search seed, configuration, task), and a stream for every (purpose, rung, member), all
through `numpy.random.SeedSequence`, so that no two purposes share a stream and a trial repeated
gives the same outcome. Nothing reads a global generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

Purpose = Literal[
    "weights",
    "train",
    "selection",
    "test",
    "curve",
    "verify",
    "certify",
    "horizon",
    "controls",
    "probe",
    "noise",
    "anchors",
]
_PURPOSES: dict[Purpose, int] = {
    "weights": 0,
    "train": 1,
    "selection": 2,
    "test": 3,
    "curve": 4,
    "verify": 5,
    "certify": 6,
    "horizon": 7,
    "controls": 8,
    "probe": 9,
    "noise": 10,
    "anchors": 11,
}


@dataclass(frozen=True)
class Streams:
    """The random streams of one configuration on one task.

    Attributes:
        seed: the search's seed
        identity: `trainables.measure.plain.digest` of the configuration and the task

    """

    seed: int
    identity: str

    def seed_of(self, purpose: Purpose, lag: int, member: int, *extra: int) -> int:
        """A 63-bit seed for one purpose on one rung of one member."""
        entropy = [self.seed, *(int(self.identity[i : i + 8], 16) for i in range(0, 64, 8))]
        key = (_PURPOSES[purpose], lag, member, *extra)
        state = np.random.SeedSequence(entropy, spawn_key=key).generate_state(2, np.uint32)
        return (int(state[0]) << 31) ^ int(state[1])

    def generator(self, purpose: Purpose, lag: int, member: int, *extra: int) -> torch.Generator:
        """A CPU generator seeded by `seed_of`."""
        return torch.Generator().manual_seed(self.seed_of(purpose, lag, member, *extra))
