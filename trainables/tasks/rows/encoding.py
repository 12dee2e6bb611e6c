"""How a file's numbers become a task's inputs, and the filler between the sequence and the answer.

Both are learned from training rows alone; the filler never depends on the row that is shown.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from trainables.shapes import Inputs, Numbers, Tokens
from trainables.tasks.rows.reading import Rows
from trainables.tasks.rows.splitting import in_part
from trainables.tasks.task import Reals, Symbols

FillerKind = Literal["noise", "blank", "resample"]
"""``noise``: uniform over the range; ``blank``: a constant; ``resample``: training values."""

ValueKind = Literal["numbers", "tokens"]

POOL_VALUES = 2**20
"""Training values that ``resample`` draws from; where there are more, whole rows picked by hash."""


class Encoding(ABC):
    """The file's numbers as inputs, and filler that looks like them.

    Attributes:
        inputs: what a model is shown
        pool: some of the training steps, encoded (K, F) or (K,), for ``resample``

    """

    inputs: Symbols | Reals
    pool: Tensor

    def __init__(self, filler: FillerKind) -> None:
        self.filler = filler

    @abstractmethod
    def encode(self, values: Num[np.ndarray, "*shape F"]) -> Tensor:
        """The numbers as a model is shown them."""

    def fill(self, batch_size: int, length: int, generator: torch.Generator) -> Inputs:
        """``length`` steps of filler (B, T) or (B, T, F), every value drawn independently."""
        if self.filler == "noise":
            return self.noise(batch_size, length, generator)
        if self.filler == "blank":
            return self.blank(batch_size, length)
        return self.resample(batch_size, length, generator)

    @abstractmethod
    def noise(self, batch_size: int, length: int, generator: torch.Generator) -> Inputs:
        """Uniform over the range of the training rows."""

    @abstractmethod
    def blank(self, batch_size: int, length: int) -> Inputs:
        """A constant."""

    @abstractmethod
    def resample(self, batch_size: int, length: int, generator: torch.Generator) -> Inputs:
        """Values of training rows, each feature's on its own."""


class Standardised(Encoding):
    """Each feature less its training mean, over its training deviation; blank is 0.

    A feature that is constant in training is 0 there, and elsewhere its difference from it.
    Noise in a column of integers, or of booleans, is of integers.
    """

    def __init__(
        self, rows: Rows, train: Bool[np.ndarray, " R"], filler: FillerKind, name: str
    ) -> None:
        super().__init__(filler)
        self.features = rows.values.shape[1]
        self.inputs = Reals(self.features)
        self.is_integer = rows.values.dtype.kind in "iu"
        self.low, self.high, self.mean, self.deviation = _moments(rows, train)
        self.pool = self.encode(_pool(rows, train))

    def encode(self, values: Num[np.ndarray, "*shape F"]) -> Float[Tensor, "*shape F"]:
        standardised = (values.astype(np.float64) - self.mean) / self.deviation
        return torch.from_numpy(standardised.astype(np.float32))

    def noise(self, batch_size: int, length: int, generator: torch.Generator) -> Numbers:
        shape = (batch_size, length, self.features)
        if self.is_integer:
            unit = torch.rand(shape, generator=generator, dtype=torch.float64)
            whole = (unit * torch.from_numpy(self.high - self.low + 1)).floor_()
            values = whole.add_(torch.from_numpy(self.low - self.mean))
            return values.div_(torch.from_numpy(self.deviation)).float()
        low, high = self.encode(self.low), self.encode(self.high)
        return torch.rand(shape, generator=generator) * (high - low) + low

    def blank(self, batch_size: int, length: int) -> Numbers:
        return torch.zeros(batch_size, length, self.features)

    def resample(self, batch_size: int, length: int, generator: torch.Generator) -> Numbers:
        shape = (batch_size, length, self.features)
        picks = torch.randint(len(self.pool), shape, generator=generator)
        return self.pool[picks, torch.arange(self.features)]


class Vocabulary(Encoding):
    """Each integer is a symbol: its rank among all in the file; blank is one more symbol.

    Raises:
        ValueError: if the values are not integers, one a step; ``name`` is their column.

    """

    def __init__(
        self, rows: Rows, train: Bool[np.ndarray, " R"], filler: FillerKind, name: str
    ) -> None:
        super().__init__(filler)
        if rows.values.dtype.kind not in "iu" or rows.values.shape[1] != 1:
            raise ValueError(
                f"values: tokens, but {name!r} of {rows.file} is no list of integers;"
                " allowed: numbers"
            )
        self.vocabulary = _distinct(rows)
        self.inputs = Symbols(len(self.vocabulary) + (filler == "blank"))
        self.pool = self.encode(_pool(rows, train))

    def encode(self, values: Num[np.ndarray, "*shape 1"]) -> Int[Tensor, "*shape"]:
        return torch.from_numpy(np.searchsorted(self.vocabulary, values[..., 0]))

    def noise(self, batch_size: int, length: int, generator: torch.Generator) -> Tokens:
        return torch.randint(len(self.vocabulary), (batch_size, length), generator=generator)

    def blank(self, batch_size: int, length: int) -> Tokens:
        return torch.full((batch_size, length), len(self.vocabulary))

    def resample(self, batch_size: int, length: int, generator: torch.Generator) -> Tokens:
        return self.pool[torch.randint(len(self.pool), (batch_size, length), generator=generator)]


def _distinct(rows: Rows) -> Num[np.ndarray, " V"]:
    seen = np.empty(0, rows.values.dtype)
    for values in rows.steps_of(np.ones(len(rows), dtype=bool)):
        seen = np.union1d(seen, values)
    return seen


def _moments(rows: Rows, train: Bool[np.ndarray, " R"]) -> tuple[Any, Any, Any, Any]:
    """Of each feature over the training steps: least, greatest, mean and standard deviation.

    Two passes: the second sums squares about the mean, which cancels nothing.
    """
    features = rows.values.shape[1]
    low, high = np.full(features, np.inf), np.full(features, -np.inf)
    total, count = np.zeros(features), int(rows.lengths[train].sum())
    for values in rows.steps_of(train):
        wide = values.astype(np.float64)
        low = np.minimum(low, wide.min(0, initial=np.inf))
        high = np.maximum(high, wide.max(0, initial=-np.inf))
        total += wide.sum(0)
    mean = np.where(low == high, low, total / count)
    squares = sum(((values - mean) ** 2).sum(0) for values in rows.steps_of(train))
    deviation = np.sqrt(squares / count)
    return low, high, mean, np.where(deviation > 0, deviation, 1.0)


def _pool(rows: Rows, train: Bool[np.ndarray, " R"]) -> Num[np.ndarray, "K F"]:
    """A fair sample of the training steps: the rows of the lowest hashes, at least one."""
    order = np.flatnonzero(train)[np.argsort(rows.hashes[train], kind="stable")]
    most = POOL_VALUES // rows.values.shape[1]
    fitting = int(np.searchsorted(np.cumsum(rows.lengths[order]), most, side="right"))
    kept = order[: max(1, fitting)]
    return rows.whole(kept)


VALUES: dict[str, type[Standardised] | type[Vocabulary]] = {
    "numbers": Standardised,
    "tokens": Vocabulary,
}


@functools.lru_cache(maxsize=2)
def encoding_of(
    rows: Rows, values: ValueKind, filler: FillerKind, name: str, shortest: int = 1
) -> Standardised | Vocabulary:
    """The encoding that training rows of at least ``shortest`` steps determine.

    Kept for the next trial of this process, as the rows are.
    """
    train = in_part(rows.hashes, "train") & (rows.lengths >= shortest)
    return VALUES[values](rows, train, filler, name)
