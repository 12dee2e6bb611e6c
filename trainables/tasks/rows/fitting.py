"""What training rows determine: how their numbers become inputs, and what filler looks like them.

Both are learned from training rows alone; the filler never depends on the row that is shown. The
arithmetic is `trainables.encoding`'s, which goes along with what is trained.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Num
from torch import Tensor

from trainables.encoding.encoding import Filler
from trainables.encoding.steps import FillerKind, NumberSteps, TokenSteps
from trainables.shapes import Inputs
from trainables.tasks.rows.numbers import Scaling, fit_numbers
from trainables.tasks.rows.reading import Rows
from trainables.tasks.split.partition import Partition, parts_of
from trainables.tasks.split.splitting import TRAIN
from trainables.tasks.task import Reals, Symbols

ValueKind = Literal["numbers", "tokens", "characters"]

POOL_VALUES = 2**20
"""Training values that ``resample`` draws from; where there are more, whole rows picked by hash."""

STANDARD, WHOLE = Scaling(), Partition()

KEPT_STEPS = 256
"""Training steps that go along with a model whose filler is resampled."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The file's numbers as inputs, and filler that looks like them.

    Attributes:
        steps: what one step is
        filler: the kind of filler
        pool: some of the training steps, encoded (K, F) or (K,), for ``resample``
        kept: fewer of them, as the file has them (K, F), but for missing ones, which are filled
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
        return Reals(self.steps.shown)

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


def sample_of(rows: Rows, chosen: Bool[np.ndarray, " R"]) -> Num[np.ndarray, "K F"]:
    """A fair sample of the chosen rows' steps: the rows of the lowest hashes, at least one."""
    order = np.flatnonzero(chosen)[np.argsort(rows.hashes[chosen], kind="stable")]
    most = POOL_VALUES // rows.values.shape[1]
    fitting = int(np.searchsorted(np.cumsum(rows.lengths[order]), most, side="right"))
    kept = order[: max(1, fitting)]
    return rows.whole(kept)


def refitted(
    rows: Rows, own: Fitted, steps: NumberSteps | TokenSteps, train: Bool[np.ndarray, " R"]
) -> Fitted:
    """The same filler under ``steps`` that were fitted to other rows."""
    pool = _encoded(steps, sample_of(rows, train))
    return Fitted(steps, own.filler, pool, own.kept)


@functools.lru_cache(maxsize=2)
def fit(
    rows: Rows,
    values: ValueKind,
    filler: FillerKind,
    name: str,
    partition: Partition = WHOLE,
    scaling: Scaling = STANDARD,
) -> Fitted:
    """What the training rows determine.

    Kept for the next trial of this process, as the rows are.

    Raises:
        ValueError: if tokens are asked for and the values are not integers, one a step; ``name``
            is their column. If the numbers cannot be scaled, as `fit_numbers`.
    """
    train = parts_of(rows, partition) == TRAIN
    pool = sample_of(rows, train)
    steps = (
        fit_numbers(rows, train, pool, scaling, name)
        if values == "numbers"
        else _tokens(rows, name, filler)
    )
    spread = np.linspace(0, len(pool) - 1, min(len(pool), KEPT_STEPS)).astype(np.int64)
    return Fitted(steps, filler, _encoded(steps, pool), _filled(steps, pool[spread]))


def _encoded(steps: NumberSteps | TokenSteps, pool: Num[np.ndarray, "K F"]) -> Tensor:
    return steps.encode(_filled(steps, pool))


def _filled(
    steps: NumberSteps | TokenSteps, pool: Num[np.ndarray, "K F"]
) -> Num[np.ndarray, "K F"]:
    """Filler is never missing."""
    return steps.filled(pool) if isinstance(steps, NumberSteps) else pool
