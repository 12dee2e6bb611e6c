"""What training rows determine: how their numbers become inputs, and what filler looks like them.

Both are learned from training rows alone; the filler never depends on the row that is shown. The
arithmetic is `trainables.encoding`'s, which goes along with what is trained.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Num
from torch import Tensor

from trainables.encoding.encoding import Filler
from trainables.encoding.steps import FillerKind, NumberSteps, TokenSteps
from trainables.shapes import Inputs
from trainables.tasks.rows.reading import Rows
from trainables.tasks.rows.splitting import in_part
from trainables.tasks.task import Reals, Symbols

ValueKind = Literal["numbers", "tokens", "characters"]

POOL_VALUES = 2**20
"""Training values that ``resample`` draws from; where there are more, whole rows picked by hash."""

KEPT_STEPS = 256
"""Training steps that go along with a model whose filler is resampled."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The file's numbers as inputs, and filler that looks like them.

    Attributes:
        steps: what one step is
        filler: the kind of filler
        pool: some of the training steps, encoded (K, F) or (K,), for ``resample``
        kept: fewer of them, as the file has them (K, F)
    """

    steps: NumberSteps | TokenSteps
    filler: FillerKind
    pool: Tensor
    kept: Num[np.ndarray, "K F"]

    @property
    def inputs(self) -> Symbols | Reals:
        """What a model is shown."""
        if isinstance(self.steps, TokenSteps):
            return Symbols(len(self.steps.vocabulary) + self.steps.has_blank)
        return Reals(self.steps.features)

    def encode(self, values: Num[np.ndarray, "*shape F"]) -> Tensor:
        """The numbers as a model is shown them."""
        return self.steps.encode(values)

    def fill(self, batch_size: int, length: int, generator: torch.Generator) -> Inputs:
        """``length`` steps of filler (B, T) or (B, T, F), every value drawn independently."""
        return self.steps.fill(self.filler, self.pool, batch_size, length, generator)

    @property
    def travelling_filler(self) -> Filler:
        """The filler as it goes along with a model."""
        if self.filler != "resample":
            return Filler(kind=self.filler)
        return Filler(kind=self.filler, pool=tuple(map(tuple, self.kept.tolist())))


def _numbers(rows: Rows, train: Bool[np.ndarray, " R"]) -> NumberSteps:
    low, high, mean, deviation = _moments(rows, train)
    return NumberSteps(
        whole=rows.values.dtype.kind in "iu",
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )


def _tokens(rows: Rows, name: str, filler: FillerKind) -> TokenSteps:
    if rows.values.dtype.kind not in "iuU" or rows.values.shape[1] != 1:
        raise ValueError(
            f"values: tokens, but {name!r} of {rows.file} is no list of integers or of text;"
            " allowed: numbers"
        )
    return TokenSteps(vocabulary=tuple(_distinct(rows).tolist()), has_blank=filler == "blank")


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


def refitted(rows: Rows, own: Fitted, steps: NumberSteps | TokenSteps) -> Fitted:
    """The same filler under ``steps`` that were fitted to other rows."""
    pool = steps.encode(_pool(rows, in_part(rows.hashes, "train")))
    return Fitted(steps, own.filler, pool, own.kept)


@functools.lru_cache(maxsize=2)
def fit(rows: Rows, values: ValueKind, filler: FillerKind, name: str, shortest: int = 1) -> Fitted:
    """What training rows of at least ``shortest`` steps determine.

    Kept for the next trial of this process, as the rows are.

    Raises:
        ValueError: if tokens are asked for and the values are not integers, one a step; ``name``
            is their column.
    """
    train = in_part(rows.hashes, "train") & (rows.lengths >= shortest)
    steps = _numbers(rows, train) if values == "numbers" else _tokens(rows, name, filler)
    pool = _pool(rows, train)
    spread = np.linspace(0, len(pool) - 1, min(len(pool), KEPT_STEPS)).astype(np.int64)
    return Fitted(steps, filler, steps.encode(pool), pool[spread])
