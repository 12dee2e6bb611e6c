"""The matrix memory of the mLSTM for a whole sequence, in chunks (Beck et al. 2024)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.models.kernels.chunks import chunk_size, cut, join
from trainables.models.kernels.scan import linear_scan

LARGEST_EXPONENT = 30.0
"""Bounds exp(-m) from below: squared it is still a float32, so no gradient becomes 0 / 0."""

Heads = Float[Tensor, "B H T E"]
Gates = Float[Tensor, "B H T"]


def chunked_mlstm(q: Heads, k: Heads, v: Heads, log_i: Gates, log_f: Gates) -> Heads:
    """h_t = C_t q_t / max(|n_t . q_t|, 1) with C_t = f C_{t-1} + i v k^T, n_t = f n_{t-1} + i k.

    Args:
        q: queries
        k: keys, already scaled
        v: values
        log_i: logarithms of the input gates, any size
        log_f: logarithms of the forget gates, below 0

    """
    T = q.shape[2]
    L = min(T, chunk_size(q.shape[-1]))
    q, k, v, log_i, log_f = (cut(part, L) for part in (q, k, v, log_i, log_f))
    # n is C with 1 for the values: one more column
    v = torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)
    since = log_f.cumsum(-1)  # log of what is kept from the chunk's start to each step
    starts, m_start = _states(k, v, log_i, since)
    decay = since[..., :, None] - since[..., None, :] + log_i[..., None, :]
    past = torch.ones_like(decay[0, 0, 0], dtype=torch.bool).tril()
    decay = decay.masked_fill(~past, -torch.inf)
    carried = since + m_start[..., None]
    m = torch.maximum(carried, decay.amax(-1)).detach()  # any m gives the same h
    scores = (q @ k.mT) * torch.exp(decay - m[..., None])
    return join(read(scores @ v + torch.exp(carried - m)[..., None] * (q @ starts), m), T)


def _states(
    k: Tensor, v: Tensor, log_i: Tensor, since: Tensor
) -> tuple[Float[Tensor, "B H C E F"], Float[Tensor, "B H C"]]:
    """The memories before each chunk, scaled by exp(-m), and m."""
    whole = since[..., -1]
    weights = whole[..., None] - since + log_i
    m = _stabilisers(whole, weights.amax(-1))
    added = (k * torch.exp(weights - m[..., 1:, None])[..., None]).mT @ v
    kept = torch.exp(whole + m[..., :-1] - m[..., 1:])[..., None, None]
    zero = torch.zeros_like(added[:, :, 0])
    ends = linear_scan(kept.movedim(2, 0), added.movedim(2, 0), zero).movedim(0, 2)
    return torch.cat([zero[:, :, None], ends[:, :, :-1]], dim=2), m[..., :-1]


@torch.no_grad()
def _stabilisers(
    whole: Float[Tensor, "B H C"], largest: Float[Tensor, "B H C"]
) -> Float[Tensor, "B H C+1"]:
    """M before each chunk and after the last: the largest exponent so far, 0 at the start."""
    m = [torch.zeros_like(whole[..., 0])]
    for kept, new in zip(whole.unbind(-1), largest.unbind(-1), strict=True):
        m.append(torch.maximum(kept + m[-1], new))
    return torch.stack(m, dim=-1)


def read(joint: Float[Tensor, "*N F"], m: Float[Tensor, "*N"]) -> Float[Tensor, "*N E"]:
    """C q / max(|n . q|, 1), from the memory with n as its last column, scaled by exp(-m)."""
    floor = torch.exp(-m.clamp(max=LARGEST_EXPONENT))[..., None]
    return joint[..., :-1] / torch.maximum(joint[..., -1:].abs(), floor)
