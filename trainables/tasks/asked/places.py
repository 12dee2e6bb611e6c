"""Where the answers of rows are asked, and how far back each needs inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, Int

NO_ANSWER = -1
"""In place of an answer's number where a row has fewer."""


@dataclass(frozen=True, eq=False)
class Places:
    """N answers of R rows, one row's after the other's, each row's in the order of their steps.

    Attributes:
        ends: the answer behind the last of each row (R,)
        back: how many steps before the last one shown each is asked (N,)
        lags: how far back each needs inputs (N,); None where a gap says it
    """

    ends: Int[np.ndarray, " R"]
    back: Int[np.ndarray, " N"]
    lags: Int[np.ndarray, " N"] | None = None

    @cached_property
    def counts(self) -> Int[np.ndarray, " R"]:
        """Answers of each row."""
        return np.diff(self.ends, prepend=0)

    @cached_property
    def of_row(self) -> Int[np.ndarray, " N"]:
        """The row of each answer."""
        return np.repeat(np.arange(len(self.ends)), self.counts)

    @cached_property
    def most(self) -> int:
        """Answers of the row that has most."""
        return int(self.counts.max())

    def rows_near(self, shortest: int, lag: int, nearness: float) -> Bool[np.ndarray, " R"]:
        """Which rows have an answer whose own lag is `near`."""
        assert self.lags is not None
        chosen = near(self.lags, shortest, lag, nearness)
        return np.bincount(self.of_row[chosen], minlength=len(self.ends)) > 0

    def of(self, rows: Int[np.ndarray, " B"]) -> Int[np.ndarray, "B S"]:
        """The numbers of the rows' answers, S = `most` of each, whichever rows are asked for.

        Where a row has fewer, its first are `NO_ANSWER`.
        """
        back = np.arange(-self.most, 0)
        numbers = self.ends[rows][:, None] + back
        return np.where(back >= -self.counts[rows][:, None], numbers, NO_ANSWER)

    def digests(self, columns: Sequence[Int[np.ndarray, " N"]]) -> Int[np.ndarray, " R"]:
        """64 bits a row that tell its answers from others': equal answers, equal bits."""
        together = np.stack(columns, axis=1)
        firsts = self.ends - self.counts
        digests = [
            blake2b(together[first:end].tobytes(), digest_size=8).digest()
            for first, end in zip(firsts.tolist(), self.ends.tolist(), strict=True)
        ]
        return np.frombuffer(b"".join(digests), "<i8").astype(np.int64)


def near(
    lags: Int[np.ndarray, "*shape"], shortest: int, lag: int, nearness: float
) -> Bool[np.ndarray, "*shape"]:
    """Which lags are at least ``shortest`` and less than ``nearness * lag``."""
    return (lags >= shortest) & (lags < nearness * lag)


def last_alone(
    numbers: Int[np.ndarray, "B S"], chosen: Bool[np.ndarray, "B S"]
) -> Int[np.ndarray, "B S"]:
    """The chosen numbers of each row in their order, at its end; the others are `NO_ANSWER`."""
    order = np.argsort(chosen, axis=1, kind="stable")
    return np.take_along_axis(np.where(chosen, numbers, NO_ANSWER), order, axis=1)
