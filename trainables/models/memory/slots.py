"""What heads do to slots: write and read, at the slots that their weightings say."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Memory = Float[Tensor, "B N W"]


def write(
    memory: Memory,
    weights: Float[Tensor, "B H N"],
    erase: Float[Tensor, "B H W"],
    add: Float[Tensor, "B H W"],
) -> Memory:
    """M prod_h (1 - w_h e_h^T) + sum_h w_h a_h^T: all heads erase, then all add.

    With erase in (0, 1] a slot's numbers stay within max(|M_0|, H |a| / min e) for ever.
    """
    erased = memory
    ones = memory.new_ones(1, 1, 1)
    for w_1N, e_1W in zip(weights.split(1, dim=1), erase.split(1, dim=1), strict=True):
        erased = erased * torch.baddbmm(ones, w_1N.mT, e_1W, alpha=-1)
    return torch.baddbmm(erased, weights.mT, add)


def read(memory: Memory, weights: Float[Tensor, "B H N"]) -> Float[Tensor, "B H W"]:
    """sum_i w_h(i) M(i), a vector a head."""
    return torch.bmm(weights, memory)
