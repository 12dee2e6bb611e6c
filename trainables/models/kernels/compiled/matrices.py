"""Recurrences with a matrix in each head, compiled: the gated delta rule and the mLSTM's memory."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call, kept_for_backward

SEGMENT = 16
"""Steps whose matrices are computed again going back, as in `source/matrices.c`."""

Projected = Float[Tensor, "T B 3*H*E"]
Heads = Float[Tensor, "T B H"]


def delta_scan(
    qkv: Projected, beta: Heads, log_alpha: Heads, initial: Float[Tensor, "B H E E"]
) -> tuple[Float[Tensor, "T B H*E"], Float[Tensor, "B H E E"]]:
    """The gated delta rule with q and k of length 1: its answers, and the last matrices."""
    keep = kept_for_backward(qkv, beta, log_alpha, initial)
    inputs = (part.contiguous() for part in (qkv, beta, log_alpha))
    return _Delta.apply(*inputs, initial, keep)


def mlstm_scan(
    qkv: Projected,
    log_i: Heads,
    log_f: Heads,
    initial: tuple[Float[Tensor, "B H E E"], Float[Tensor, "B H E"], Float[Tensor, "B H"]],
) -> tuple[Float[Tensor, "T B H*E"], tuple[Tensor, Tensor, Tensor]]:
    """The mLSTM's memory, which divides keys by sqrt(E): answers, and the last matrix, n and m."""
    keep = kept_for_backward(qkv, log_i, log_f, *initial)
    inputs = (part.contiguous() for part in (qkv, log_i, log_f))
    y, *last = _Mlstm.apply(*inputs, *initial, keep)
    return y, tuple(last)


class _Delta(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, beta: Tensor, log_alpha: Tensor, initial: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor]:
        T, B, D = qkv.shape
        S = initial.clone(memory_format=torch.contiguous_format)
        y = qkv.new_empty(T, B, D // 3)
        borders = qkv.new_empty(-(-T // SEGMENT) if keep else 0, *S.shape)
        ctx.sizes = [T, *S.shape[:3], keep]
        call("delta_forward", ctx.sizes, [qkv, beta, log_alpha, S, y, borders])
        if keep:
            ctx.save_for_backward(qkv, beta, log_alpha, borders)
        return y, S

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, borders = ctx.saved_tensors
        dS = dlast.clone(memory_format=torch.contiguous_format)
        dinputs = [torch.empty_like(part) for part in inputs]
        call("delta_backward", ctx.sizes, [dy.contiguous(), *inputs, borders, dS, *dinputs])
        return *dinputs, dS, None


class _Mlstm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        log_i: Tensor,
        log_f: Tensor,
        S: Tensor,
        n: Tensor,
        m: Tensor,
        keep: bool,
    ) -> tuple[Tensor, ...]:
        T, B, D = qkv.shape
        state = [part.clone(memory_format=torch.contiguous_format) for part in (S, n, m)]
        y = qkv.new_empty(T, B, D // 3)
        segments = -(-T // SEGMENT) if keep else 0
        borders = [qkv.new_empty(segments, *part.shape) for part in state]
        ctx.sizes = [T, *S.shape[:3], keep]
        call("mlstm_forward", ctx.sizes, [qkv, log_i, log_f, *state, y, *borders])
        if keep:
            ctx.save_for_backward(qkv, log_i, log_f, *borders, y)
        ctx.mark_non_differentiable(state[2])
        return y, *state

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dy: Tensor, dS: Tensor, dn: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:
        *inputs, S, n, m, y = ctx.saved_tensors
        dS, dn = (part.clone(memory_format=torch.contiguous_format) for part in (dS, dn))
        dinputs = [torch.empty_like(part) for part in inputs]
        arrays = [dy.contiguous(), *inputs, S, n, m, dS, dn, y, *dinputs]
        call("mlstm_backward", ctx.sizes, arrays)
        return *dinputs, dS, dn, None, None
