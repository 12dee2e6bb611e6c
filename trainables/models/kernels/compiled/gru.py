"""The gated recurrent unit, compiled."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call, kept_for_backward, states_after


def gru_scan(
    projected: Float[Tensor, "T B 3*D"],
    recurrent: Float[Tensor, "3*D D"],
    bias: Float[Tensor, " 3*D"],
    initial: Float[Tensor, "B D"],
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "B D"]]:
    """The states after each step, and the last; gates reset, update, new, as `torch.nn.GRU` has.

    Args:
        projected: the map of the inputs, its bias added
        recurrent: U
        bias: what is added to U h
        initial: the state before the first step

    """
    keep = kept_for_backward(projected, recurrent, bias, initial)
    return _Gru.apply(projected.contiguous(), recurrent, bias, initial, keep)


class _Gru(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, U: Tensor, c: Tensor, initial: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor]:
        T, B, G = x.shape
        D = G // 3
        h = states_after(initial, T)
        kept = x.new_empty(T if keep else 1, B, 4 * D)
        call("gru_forward", [T, B, D, keep], [x, U.t().contiguous(), c.contiguous(), h, kept])
        if keep:
            ctx.save_for_backward(U, h, kept)
        return h[1:], h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        U, h, kept = ctx.saved_tensors
        T, B, D = dy.shape
        dx, du = dy.new_empty(T, B, 3 * D), dy.new_empty(T, B, 3 * D)
        dh = dlast.clone(memory_format=torch.contiguous_format)
        arrays = [dy.contiguous(), U.contiguous(), h, kept, dx, du, dh]
        call("gru_backward", [T, B, D], arrays)
        flat = du.flatten(0, 1)
        return dx, flat.t() @ h[:-1].flatten(0, 1), flat.sum(0), dh, None
