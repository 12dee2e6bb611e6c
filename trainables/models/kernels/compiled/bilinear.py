"""The bilinear recurrence, compiled, with the map from an input to its matrices."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call, kept_for_backward, states_after


def bilinear_scan(
    x: Float[Tensor, "T B I"],
    transitions: Float[Tensor, "M I"],
    initial: Float[Tensor, "B H E"],
    eps: float,
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "B H E"]]:
    """h_t = norm(h_{t-1} A_t), A_t = W x_t as (H, E, E): the states in a row, and the last."""
    keep = kept_for_backward(x, transitions, initial)
    x = x if x.stride(2) == 1 else x.contiguous()
    return _Bilinear.apply(x, transitions, initial, eps, keep)


class _Bilinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, W: Tensor, initial: Tensor, eps: float, keep: bool
    ) -> tuple[Tensor, Tensor]:
        T, B, width = x.shape
        H, E = initial.shape[1:]
        h = states_after(initial, T)
        W, scale = W.contiguous(), x.new_empty(T if keep else 1, B, H)
        ctx.sizes = [T, B, width, H, E, x.stride(0), x.stride(1), keep]
        call("bilinear_forward", ctx.sizes, [x, W, x.new_tensor(eps), h, scale])
        if keep:
            ctx.save_for_backward(x, W, h, scale)
        return h[1:].flatten(2), h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        x, W, h, scale = ctx.saved_tensors
        dx, dW = x.new_empty(x.shape), torch.empty_like(W)
        dh = dlast.clone(memory_format=torch.contiguous_format)
        call("bilinear_backward", ctx.sizes, [dy.contiguous(), x, W, h, scale, dx, dW, dh])
        return dx, dW, dh, None, None
