"""The gated delta rule by flash-linear-attention's kernel where it runs, else by our own chunks.

The kernel comes with the extra ``cuda``. It multiplies with TF32's ten bits whatever it is given,
so it stands in only where torch's own products may round as much.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from trainables.models.kernels.chunked_delta import Gates, Heads, chunked_delta

NARROWEST, WIDEST = 16, 256
"""Head widths E that the kernel takes."""


def gated_delta_rule(q: Heads, k: Heads, v: Heads, beta: Gates, log_alpha: Gates) -> Heads:
    """As `chunked_delta`, which see."""
    kernel = find_kernel() if suits(q) else None
    if kernel is None:
        return chunked_delta(q, k, v, beta, log_alpha)
    q, k, v, beta, g = (part.transpose(1, 2) for part in (q, k, v, beta, log_alpha))
    answers, _ = kernel(q=q, k=k, v=v, g=g, beta=beta, scale=1.0)
    return answers.transpose(1, 2)


def suits(q: Heads) -> bool:
    """Whether the kernel takes such heads, with the rounding that torch is allowed."""
    rounds = torch.get_float32_matmul_precision() != "highest" or torch.is_autocast_enabled("cuda")
    fits = q.dtype == torch.float32 and NARROWEST <= q.shape[-1] <= WIDEST
    return q.is_cuda and fits and rounds


@functools.cache
def find_kernel() -> Callable[..., Any] | None:
    """The package's kernel; None where it, or Triton beneath it, is not installed."""
    try:
        from fla.ops.gated_delta_rule import chunk_gated_delta_rule
    except ImportError:
        return None
    return chunk_gated_delta_rule
