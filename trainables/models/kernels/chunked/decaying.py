"""A matrix memory in each head that decays as a whole, in chunks: state space duality.

S_t = a_t S_{t-1} + k_t v_t^T, o_t = S_t^T q_t, with q and k the same for all heads (Dao & Gu 2024)
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.models.kernels.chunked.given_types import in_given_types
from trainables.models.kernels.chunked.system import CHUNK
from trainables.models.kernels.chunks import cut, join


@in_given_types
def chunked_decaying(
    q: Float[Tensor, "B T N"],
    k: Float[Tensor, "B T N"],
    v: Float[Tensor, "B H T P"],
    log_a: Float[Tensor, "B H T"],
    initial: Float[Tensor, "B H N P"],
) -> tuple[Float[Tensor, "B H T P"], Float[Tensor, "B H N P"]]:
    """The answers at every step, and the memory after the last.

    Args:
        q: what is read
        k: where it is written
        v: what is written
        log_a: logarithms of what is kept, 0 at most
        initial: the memory before the first step

    """
    T = v.shape[2]
    L = min(T, CHUNK)
    q, k = (cut(part[:, None], L) for part in (q, k))
    v, log_a = cut(v, L), cut(log_a, L)
    since = log_a.cumsum(-1)
    past = torch.ones(L, L, dtype=torch.bool, device=v.device).tril()
    decay = (since[..., :, None] - since[..., None, :]).masked_fill(~past, -torch.inf).exp()
    inside = ((q @ k.mT) * decay) @ v
    left = (since[..., -1:] - since).exp()
    added = k.mT @ (left[..., None] * v)
    S, starts = initial, []
    for kept, more in zip(since[..., -1].exp().unbind(2), added.unbind(2), strict=True):
        starts.append(S)
        S = torch.addcmul(more, kept[..., None, None], S)
    o = inside + since.exp()[..., None] * (q @ torch.stack(starts, dim=2))
    return join(o, T), S


def products_per_step(length: int, num_heads: int, state_size: int, head_width: int) -> float:
    """Multiply-adds of `chunked_decaying` for one step of one sequence."""
    L = min(length, CHUNK)
    return L * state_size + num_heads * (L * head_width + 2 * state_size * head_width)
