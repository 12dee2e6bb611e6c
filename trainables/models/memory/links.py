"""In which order slots were written (Graves et al. 2016, Methods, temporal memory linkage)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Slots = Float[Tensor, "B N"]
Links = Float[Tensor, "B N N"]
"""L[i, j]: how much slot i was written right after slot j; rows and columns sum to at most one."""


def links_after(links: Links, write_weights: Slots, precedence: Slots) -> Links:
    """L[i, j] = (1 - w_i - w_j) L[i, j] + w_i p_j, with a diagonal of zeros."""
    w_i, w_j = write_weights.unsqueeze(2), write_weights.unsqueeze(1)
    kept = links * ((1 - w_i) + (-w_j))
    linked = torch.baddbmm(kept, w_i, precedence.unsqueeze(1))
    return linked.mul_(off_diagonal(linked))  # in place: N x N numbers a step are what links cost


def off_diagonal(links: Links) -> Float[Tensor, "N N"]:
    """One everywhere but on the diagonal."""
    return 1 - torch.eye(links.shape[-1], dtype=links.dtype, device=links.device)


def precedence_after(precedence: Slots, write_weights: Slots) -> Slots:
    """p_t = (1 - sum w) p + w: how much each slot was the last one written."""
    return torch.addcmul(
        precedence + write_weights, precedence, write_weights.sum(-1, keepdim=True), value=-1
    )


def directions(
    links: Links, read_weights: Float[Tensor, "B R N"]
) -> tuple[Float[Tensor, "B R N"], Float[Tensor, "B R N"]]:
    """L^T w and L w: the slots written right before and right after those read last."""
    return torch.bmm(read_weights, links), torch.bmm(read_weights, links.mT)


def sharpened(
    weights: Float[Tensor, "B R N"], exponents: Float[Tensor, "B R"]
) -> Float[Tensor, "B R N"]:
    """w^s / sum w^s, and nothing where there was nothing (Csordas & Schmidhuber 2019, 3.3).

    Links are noisy, and what a link leads to becomes vaguer with every step along a chain. Weights
    that rounding leaves below zero are nothing, too: they have no powers.
    """
    smallest = torch.finfo(weights.dtype).tiny
    weights = weights.clamp(min=0)
    relative = weights / weights.amax(-1, keepdim=True).clamp(min=smallest)
    powers = relative ** exponents.unsqueeze(-1)
    return powers / powers.sum(-1, keepdim=True).clamp(min=1)
