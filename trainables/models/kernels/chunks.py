"""Cutting a sequence into chunks, for recurrences that work in parallel within each."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


def chunk_size(head_width: int) -> int:
    """Steps a chunk for heads with a state of E x E: products inside cost L E, between E^2.

    Short chunks cost calls, long ones memory, so it stays within 16 and 64.
    """
    return min(max(head_width, 16), 64)


def cut(x: Float[Tensor, "B H T *E"], size: int) -> Float[Tensor, "B H C L *E"]:
    """Chunks of L = ``size`` steps; zeros fill the last one.

    What a causal form does with those zeros touches no earlier step.
    """
    missing = -x.shape[2] % size
    trailing = (0, 0) * (x.dim() - 3)
    return nn.functional.pad(x, (*trailing, 0, missing)).unflatten(2, (-1, size))


def join(x: Float[Tensor, "B H C L *E"], length: int) -> Float[Tensor, "B H T *E"]:
    """The first ``length`` steps of the chunks, as one sequence again."""
    return x.flatten(2, 3)[:, :, :length]
