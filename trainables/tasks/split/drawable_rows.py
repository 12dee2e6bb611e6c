"""Rows that may be drawn: any of them again and again, or each different sequence once."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int, UInt64


class DrawableRows:
    """Some rows, in the order of their hashes: the files' order is no matter.

    Args:
        rows: their numbers in the file
        hashes: of all the file's rows
    """

    def __init__(self, rows: Int[np.ndarray, " n"], hashes: UInt64[np.ndarray, " R"]) -> None:
        self.rows = rows[np.argsort(hashes[rows], kind="stable")]
        _, self._firsts, self._repeats = np.unique(
            hashes[self.rows], return_index=True, return_counts=True
        )

    @property
    def different(self) -> int:
        """Different sequences: one that is repeated tells no more than once."""
        return len(self._firsts)

    def any(self, count: int, generator: torch.Generator) -> Int[np.ndarray, " count"]:
        """``count`` rows, each drawn from all of them."""
        picks = torch.randint(len(self.rows), (count,), generator=generator)
        return self.rows[picks.numpy()]

    def each_once(self, most: int, generator: torch.Generator) -> Int[np.ndarray, " n"]:
        """Up to ``most`` different sequences, in random order; of equal ones, any row."""
        chosen = torch.randperm(self.different, generator=generator)[:most].numpy()
        unit = torch.rand(len(chosen), generator=generator, dtype=torch.float64).numpy()
        picks = self._firsts[chosen] + (unit * self._repeats[chosen]).astype(np.int64)
        return self.rows[picks]
