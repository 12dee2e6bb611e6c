"""The gated delta rule for a whole sequence, in chunks (Yang et al. 2024)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.models.kernels.chunks import chunk_size, cut, join

Heads = Float[Tensor, "B H T E"]
Gates = Float[Tensor, "B H T"]


def chunked_delta(q: Heads, k: Heads, v: Heads, beta: Gates, log_alpha: Gates) -> Heads:
    """S_t = alpha S_{t-1} + beta k (v - alpha S_{t-1}^T k)^T; the answer is S_t^T q.

    Within a chunk that starts from S, what each step writes is k_t w_t^T, where the w solve
    (1 + A) w = beta (v - g S^T k): A_ts = beta_t (k_t . k_s) g_t / g_s for s < t, and g is the
    product of the alphas since the chunk's start.

    Args:
        q: queries
        k: keys of length 1 at most
        v: values
        beta: how far each step writes its value over the old one, 0 to 1
        log_alpha: logarithms of what is kept, below 0

    """
    T = q.shape[2]
    L = min(T, chunk_size(q.shape[-1]))
    q, k, v, beta, log_alpha = (cut(part, L) for part in (q, k, v, beta, log_alpha))
    since = log_alpha.cumsum(-1)
    past = torch.ones_like(since[0, 0, 0].diag(), dtype=torch.bool).tril()
    decay = (since[..., :, None] - since[..., None, :]).masked_fill(~past, -torch.inf).exp()
    overwritten = beta[..., None] * (k @ k.mT) * decay  # the solver reads below the diagonal alone
    written = torch.cat([v, since.exp()[..., None] * k], dim=-1) * beta[..., None]
    solved = torch.linalg.solve_triangular(overwritten, written, upper=False, unitriangular=True)
    fresh, met = solved.split(v.shape[-1], dim=-1)  # w = fresh - met S
    scores = (q @ k.mT) * decay
    reading = since.exp()[..., None] * q
    keys = (torch.exp(since[..., -1:] - since)[..., None] * k).mT
    kept = since[..., -1].exp()[..., None, None]
    S = torch.zeros_like(keys[:, :, 0] @ v[:, :, 0])
    answers = []
    for w, m, s, r, a, g in zip(
        *(part.unbind(2) for part in (fresh, met, scores, reading, keys, kept)), strict=True
    ):
        w_now = w - m @ S
        answers.append(r @ S + s @ w_now)
        S = g * S + a @ w_now
    return join(torch.stack(answers, dim=2), T)
