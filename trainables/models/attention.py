"""Causal attention, with a linear distance penalty and a window, that never holds T x T numbers.

y_t = sum_s softmax_s(q_t . k_s / sqrt(E) - m_h (t - s)) v_s   for s from t - window + 1 to t
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from trainables.models.kernels.door import suits

Heads = Float[Tensor, "B H T E"]

_NARROWEST = 16  # torch's kernel on a processor takes 1.6 times as long for narrower heads
_BLOCK = 256  # queries that meet their keys at a time, where there are penalties
_SHORTEST_BLOCK = 64  # of a window: shorter blocks cost more in calls than they save in products


def causal_attention(
    q: Heads, k: Heads, v: Heads, slopes: tuple[float, ...] | None, window: int | None
) -> Heads:
    """What each step sees of itself and the steps before it.

    Memory grows linearly with T; time quadratically, or linearly under a window.

    Args:
        q: queries
        k: keys
        v: values
        slopes: m, one a head (Press et al. 2022); None for no penalty
        window: how many steps are seen, the step itself among them; None for all

    """
    if torch.compiler.is_exporting():
        return _dense(q, k, v, slopes, window)
    if window is not None and window < q.shape[2]:
        return _windowed(q, k, v, slopes, window)
    if slopes is not None:
        return _penalised(q, k, v, slopes)
    E = q.shape[-1]
    if E < _NARROWEST and suits(q, k, v):
        q, k, v = (pad(x, (0, _NARROWEST - E)) for x in (q, k, v))
        return scaled_dot_product_attention(q, k, v, is_causal=True, scale=E**-0.5)[..., :E]
    return scaled_dot_product_attention(q, k, v, is_causal=True)


def late_attention(
    q: Heads,
    k: Float[Tensor, "B H S E"],
    v: Float[Tensor, "B H S E"],
    slopes: tuple[float, ...] | None,
    window: int | None,
) -> Heads:
    """`causal_attention` of the last steps alone, S >= T keys and values up to the last of them."""
    return _masked(q, k, v, k.shape[2] - q.shape[2], slopes, window)


def forgetting(
    q: Float[Tensor, "B H T E"],
    k: Float[Tensor, "B H S E"],
    v: Float[Tensor, "B H S E"],
    log_kept: Float[Tensor, "B H S"],
) -> tuple[Heads, Heads, Heads]:
    """One coordinate more, by which attention takes off log_kept[t] - log_kept[s], at most 0.

    What is the same for all keys of a query makes no difference to a softmax, so the keys' part is
    enough. In the type of ``log_kept``, as bfloat16 has no room for a long sum.
    """
    E, wide = q.shape[-1], log_kept.dtype
    wider = (E + 1) ** 0.5  # scores are divided by this, and not by sqrt(E)
    q = torch.cat((q.to(wide) * (wider / E**0.5), torch.ones_like(q[..., :1], dtype=wide)), dim=-1)
    k = torch.cat((k.to(wide), -wider * log_kept[..., None]), dim=-1)
    return q, k, pad(v.to(wide), (0, 1))


def mean_span(length: int, window: int | None) -> float:
    """How many steps a step sees, on average over a sequence of ``length``."""
    longest = length if window is None else min(length, window)
    return longest - longest * (longest - 1) / (2 * length)


def _dense(
    q: Heads, k: Heads, v: Heads, slopes: tuple[float, ...] | None, window: int | None
) -> Heads:
    """The same for any T: an exported graph holds T x T numbers, since blocks would fix its T."""
    if slopes is None and window is None:
        return scaled_dot_product_attention(q, k, v, is_causal=True)
    steps = torch.arange(q.shape[2], device=q.device)
    distance = steps[:, None] - steps
    unseen = distance < 0 if window is None else (distance < 0) | (distance >= window)
    m_H = torch.tensor(slopes or (0.0,), device=q.device, dtype=q.dtype)
    bias_HTT = (-m_H[:, None, None] * distance).masked_fill(unseen, -math.inf)
    return scaled_dot_product_attention(q, k, v, attn_mask=bias_HTT[None])


def _penalised(q: Heads, k: Heads, v: Heads, slopes: tuple[float, ...]) -> Heads:
    """Blocks of queries, each against all the keys up to its end."""
    answers = []
    for start in range(0, q.shape[2], _BLOCK):
        stop = min(start + _BLOCK, q.shape[2])
        block = (q[:, :, start:stop], k[:, :, :stop], v[:, :, :stop], start, slopes, None)
        if q.is_cuda:  # its kernels copy the penalties, so they are made anew going back
            answer = checkpoint(_masked, *block, use_reentrant=False, preserve_rng_state=False)
        else:
            answer = _masked(*block)
        answers.append(answer)
    return torch.cat(answers, dim=2)


def _windowed(q: Heads, k: Heads, v: Heads, slopes: tuple[float, ...] | None, window: int) -> Heads:
    """Blocks at least a window long, side by side in the batch; each sees itself and the last."""
    B, H, T, E = q.shape
    size = max(window, _SHORTEST_BLOCK)
    first = _masked(q[:, :, :size], k[:, :, :size], v[:, :, :size], 0, slopes, window)
    if size >= T:
        return first
    blocks = math.ceil(T / size)

    def split(x: Heads) -> Float[Tensor, "B N H C E"]:
        padded = pad(x, (0, 0, 0, blocks * size - T))  # later than every query that counts
        return padded.view(B, H, blocks, size, E).transpose(1, 2)

    def with_last(x: Heads) -> Float[Tensor, "M H C2 E"]:
        x = split(x)
        return torch.cat((x[:, :-1], x[:, 1:]), dim=3).flatten(0, 1)

    queries = split(q)[:, 1:].flatten(0, 1)
    y = _masked(queries, with_last(k), with_last(v), size, slopes, window)
    rest = y.view(B, blocks - 1, H, size, E).transpose(1, 2).flatten(2, 3)
    return torch.cat((first, rest[:, :, : T - size]), dim=2)


def _masked(
    q: Heads,
    k: Float[Tensor, "B H S E"],
    v: Float[Tensor, "B H S E"],
    offset: int,
    slopes: tuple[float, ...] | None,
    window: int | None,
) -> Heads:
    """Attention of queries that stand ``offset`` steps later than the first key.

    Penalties depend on distance alone: with the queries in reverse, row and column of the mask
    add up to it, so that the mask is a view of C + S numbers.
    """
    C, S = q.shape[2], k.shape[2]
    distance = torch.arange(offset + C - 1, offset - S, -1, device=q.device)
    unseen = distance < 0 if window is None else (distance < 0) | (distance >= window)
    m_H = torch.tensor(slopes or (0.0,), device=q.device, dtype=q.dtype)
    bias = (-m_H.unsqueeze(-1) * distance).masked_fill(unseen, -math.inf)
    mask_1HCS = bias.as_strided((1, len(m_H), C, S), (0, C + S - 1, 1, 1))
    return scaled_dot_product_attention(q.flip(2), k, v, attn_mask=mask_1HCS).flip(2)
