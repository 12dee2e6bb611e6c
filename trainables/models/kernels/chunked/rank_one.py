"""A matrix memory with a decay for every row and a correction of rank one, in chunks.

S_t = (diag(w_t) + a_t b_t^T) S_{t-1} + k_t v_t^T, o_t = S_t^T q_t

Kimi delta attention (a = -beta k, b = w k, and beta k for k) and RWKV-7 are of this form.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.models.kernels.chunked.given_types import in_given_types
from trainables.models.kernels.chunks import cut, join

CHUNK = 16
LARGEST_DECAY = 5.0
"""Of -log w at a step: a chunk's decays then stay within e^-80, and half of that is a float32."""

Heads = Float[Tensor, "B H T E"]


class Steps(NamedTuple):
    """What each step does; ``log_w`` between -`LARGEST_DECAY` and 0."""

    q: Heads
    k: Heads
    v: Heads
    a: Heads
    b: Heads
    log_w: Heads


@in_given_types
def chunked_rank_one(
    steps: Steps, initial: Float[Tensor, "B H E E"]
) -> tuple[Heads, Float[Tensor, "B H E E"]]:
    """The answers at every step, and the memory after the last.

    Within a chunk that starts from S, r_t = S_{t-1}^T b_t solve a triangular system; then every
    step adds a_t r_t^T + k_t v_t^T, decayed. Decays from step s to t are products of two factors
    around the middle of the chunk, neither of which leaves what a float32 can hold.
    """
    T = steps.q.shape[2]
    L = min(T, CHUNK)
    q, k, v, a, b, log_w = (cut(part, L) for part in steps)
    since = log_w.cumsum(-2)  # from the chunk's start to each step
    before = since - log_w
    middle = since[..., L // 2, None, :].detach()
    rows = torch.cat((q * (since - middle).exp(), b * (before - middle).exp()), dim=-2)
    columns = torch.cat((a, k), dim=-2) * (middle - since).exp().repeat(1, 1, 1, 2, 1)
    met_q, met_b = (rows @ columns.mT).split(L, dim=-2)
    read_a, read_k = (part.tril() for part in met_q.split(L, dim=-1))
    back_a, back_k = (part.tril(-1) for part in met_b.split(L, dim=-1))
    known = torch.cat((back_k @ v, b * before.exp()), dim=-1)
    solved = torch.linalg.solve_triangular(-back_a, known, upper=False, unitriangular=True)
    fresh, met = solved.split((v.shape[-1], b.shape[-1]), dim=-1)  # r = fresh + met S
    left = (since[..., -1:, :] - since).exp()
    added = torch.cat((a * left, k * left), dim=-2).mT
    pieces = (fresh, met, v, read_a, read_k @ v, q * since.exp(), added, since[..., -1, :].exp())
    S, answers = initial, []
    for fresh_c, met_c, v_c, read_c, known_c, q_c, added_c, kept in zip(
        *(part.unbind(2) for part in pieces), strict=True
    ):
        r = fresh_c + met_c @ S
        answers.append(q_c @ S + read_c @ r + known_c)
        S = kept[..., None] * S + added_c @ torch.cat((r, v_c), dim=-2)
    return join(torch.stack(answers, dim=2), T), S


def products_per_step(length: int, head_width: int) -> float:
    """Multiply-adds of `chunked_rank_one` for one step of one head."""
    L = min(length, CHUNK)
    return 4 * L * head_width + 5 * L * head_width + 4 * head_width**2
