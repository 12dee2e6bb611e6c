"""In which order slots were accessed last: a rank a slot, 0 for the latest.

An order instead of times: it stays exact however long a sequence is, and no two slots are equal.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

Ranks = Int[Tensor, "B N"]
"""The numbers 0 .. N - 1 in each row."""


def first_ranks(batch_size: int, num_slots: int, device: torch.device) -> Ranks:
    """The first slot is the one that is longest unused, then the second."""
    return torch.arange(num_slots - 1, -1, -1, device=device).repeat(batch_size, 1)


def longest_unused(ranks: Ranks, count: int) -> Int[Tensor, "B H"]:
    """The numbers of ``count`` slots, the longest unused first."""
    slots = torch.arange(ranks.shape[1], device=ranks.device).expand_as(ranks)
    order = torch.zeros_like(ranks).scatter(1, ranks, slots)
    return order[:, -count:].flip(1)


def ranks_after(ranks: Ranks, accessed: Bool[Tensor, "B N"]) -> Ranks:
    """Those accessed come first, among themselves as before; so do the others, after them."""
    by_rank = torch.zeros_like(ranks).scatter(1, ranks, accessed.long())
    up_to = by_rank.cumsum(1).gather(1, ranks)
    return torch.where(accessed, up_to - 1, ranks + accessed.sum(1, keepdim=True) - up_to)
