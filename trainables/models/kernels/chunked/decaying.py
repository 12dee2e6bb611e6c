"""A matrix memory in each head that decays as a whole, in chunks: state space duality.

S_t = a_t S_{t-1} + k_t v_t^T, o_t = S_t^T q_t, with q and k the same for all heads (Dao & Gu 2024)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.models.kernels.chunked.given_types import in_given_types
from trainables.models.kernels.chunked.system import CHUNK
from trainables.models.kernels.chunks import cut, join


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
    return chunked_writes(q[:, None], [(k[:, None], v)], log_a, initial)


@in_given_types
def chunked_writes(
    q: Float[Tensor, "B G T N"],
    writes: Sequence[tuple[Float[Tensor, "B G T N"], Float[Tensor, "B H T P"]]],
    log_a: Float[Tensor, "B H T"],
    initial: Float[Tensor, "B H N P"],
) -> tuple[Float[Tensor, "B H T P"], Float[Tensor, "B H N P"]]:
    """The same with several ``writes`` a step, k and v of each; q and k are of G heads, H or 1."""
    T = log_a.shape[2]
    L = min(T, CHUNK)
    q, log_a = cut(q, L), cut(log_a, L)
    since = log_a.cumsum(-1)
    past = torch.ones(L, L, dtype=torch.bool, device=q.device).tril()
    decay = (since[..., :, None] - since[..., None, :]).masked_fill(~past, -torch.inf).exp()
    left = (since[..., -1:] - since).exp()
    inside: list[Tensor] = []
    added: list[Tensor] = []
    for k, v in ((cut(k, L), cut(v, L)) for k, v in writes):
        inside.append(((q @ k.mT) * decay) @ v)
        added.append(k.mT @ (left[..., None] * v))
    S, starts = initial, []
    for kept, more in zip(since[..., -1].exp().unbind(2), _sum_of(added).unbind(2), strict=True):
        starts.append(S)
        S = torch.addcmul(more, kept[..., None, None], S)
    o = _sum_of(inside) + since.exp()[..., None] * (q @ torch.stack(starts, dim=2))
    return join(o, T), S


def _sum_of(parts: Sequence[Tensor]) -> Tensor:
    """Of one or more."""
    return functools.reduce(torch.add, parts)


def products_per_step(
    length: int,
    num_heads: int,
    state_size: int,
    head_width: int,
    num_writes: int = 1,
    own_keys: bool = False,
) -> float:
    """Multiply-adds of `chunked_writes` for a step of one sequence; keys are a head's, or all's."""
    L = min(length, CHUNK)
    alike = num_writes * L * state_size * (num_heads if own_keys else 1)
    held = (1 + num_writes) * state_size * head_width
    return alike + num_heads * (num_writes * L * head_width + held)
