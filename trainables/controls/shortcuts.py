"""Shortcuts past a memory: statistics of a sequence that take no memory, or no order.

Each is a function from a batch with one scored answer a sequence to features (B, P).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.tasks.task import Batch

EDGE = 24
"""Inputs that `edges` sees one by one, at either end of what is younger than the lag."""

WIDTH = 32
"""Of what stands for one symbol: a unit vector if there are no more, else a fixed random one."""

BINS = 512
"""Of a histogram of symbols; where there are more symbols, several share a bin."""

Features = Float[Tensor, "B P"]


def last_input(batch: Batch, vocabulary: int) -> Features:
    """The input at the scored step."""
    return _at(batch, batch.scored, vocabulary)


def bag(batch: Batch, vocabulary: int) -> Features:
    """All inputs up to the scored step, in no order.

    Of symbols how often each comes; of numbers mean, deviation, least and greatest.
    """
    past = torch.arange(batch.inputs.shape[1]) <= batch.scored
    if batch.inputs.ndim == 2:
        counts = torch.zeros(len(past), min(vocabulary, BINS))
        return counts.scatter_add_(1, batch.inputs.long() % BINS, past.float())
    return _moments(batch.inputs, past)


def edges(batch: Batch, vocabulary: int, lag: int) -> Features:
    """The youngest inputs, the oldest of those younger than ``lag``, and the bag."""
    youngest = batch.scored - torch.arange(EDGE)
    oldest = torch.minimum(batch.scored - lag + 1 + torch.arange(EDGE), batch.scored)
    return torch.cat(
        (
            _at(batch, youngest, vocabulary),
            _at(batch, oldest, vocabulary),
            bag(batch, vocabulary),
        ),
        dim=1,
    )


def _at(batch: Batch, steps: Int[Tensor, "B K"], vocabulary: int) -> Features:
    """The inputs at some steps, one after the other; zeros before the first."""
    rows, there = torch.arange(len(steps))[:, None], steps >= 0
    found = batch.inputs[rows, steps.clamp(min=0)]
    if found.ndim == 2:
        codes = torch.eye(vocabulary)
        if vocabulary > WIDTH:
            codes = torch.randn(vocabulary, WIDTH, generator=torch.Generator().manual_seed(0))
        seen = codes[found]
    else:
        seen = torch.cat((found, found.square()), dim=-1)
    return (seen * there[..., None]).flatten(1)


def _moments(numbers: Float[Tensor, "B T F"], past: Bool[Tensor, "B T"]) -> Features:
    shown, count = past[..., None], past.sum(1, keepdim=True)
    mean = (numbers * shown).sum(1) / count
    variance = ((numbers - mean[:, None]).square() * shown).sum(1) / count
    least = numbers.masked_fill(~shown, torch.inf).amin(1)
    greatest = numbers.masked_fill(~shown, -torch.inf).amax(1)
    return torch.cat((mean, variance.sqrt(), least, greatest), dim=1)
