"""Sequences a part at a time: what is made of their inputs takes no more memory at a long lag.

All that a control learns from is drawn at once, and held as small as its symbols allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from trainables.tasks.task import Batch, Reals, Symbols, shown

NUMBERS_AT_ONCE = 2**21
"""Of the inputs of a part: sequences times steps, times the numbers of a step."""

SMALL = ((2**8, torch.uint8), (2**15, torch.int16))
"""Types for symbols below a number, the smallest first."""

See = Callable[[Batch, slice], Batch]
"""From some of the rows, and which they are, to what is seen of them."""


def held(batch: Batch, inputs: Symbols | Reals) -> Batch:
    """The same with symbols of the smallest type that holds all of ``inputs``."""
    if isinstance(inputs, Reals):
        return batch
    types = (kind for most, kind in SMALL if inputs.vocabulary <= most)
    return replace(batch, inputs=batch.inputs.to(next(types, batch.inputs.dtype)))


def some_rows(batch: Batch, rows: slice) -> Batch:
    """Some of a batch's rows, their symbols as a task draws them."""
    return Batch(shown(batch.inputs[rows]), batch.targets[rows], batch.scored[rows])


class Parts:
    """The rows of a batch, in order, some at a time.

    Args:
        batch: as drawn, or as `held`
        see: what is seen of its rows; by default they
    """

    def __init__(self, batch: Batch, see: See = lambda part, rows: part) -> None:
        self.batch, self._see = batch, see

    def __iter__(self) -> Iterator[Batch]:
        inputs = self.batch.inputs
        at_once = max(1, NUMBERS_AT_ONCE // max(1, inputs[:1].numel()))
        for first in range(0, len(inputs), at_once):
            rows = slice(first, first + at_once)
            yield self._see(some_rows(self.batch, rows), rows)
