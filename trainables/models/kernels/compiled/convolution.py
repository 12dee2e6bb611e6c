"""A causal convolution over a few steps, compiled."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call, in_rows, row_distance


def short_convolution(
    x: Float[Tensor, "T B E"],
    taps: Float[Tensor, "K E"],
    bias: Float[Tensor, " E"],
    past: Float[Tensor, "B K-1 E"],
) -> tuple[Float[Tensor, "T B E"], Float[Tensor, "B K-1 E"]]:
    """y_t = silu(b + sum_k w_k x_{t-k}), and the inputs the next step sees, the oldest first."""
    before = past.transpose(0, 1)
    P = len(before)
    seen = x if len(x) >= P else torch.cat((before, x))
    y = _ShortConvolution.apply(in_rows(x), before.contiguous(), taps, bias)
    return y, seen[len(seen) - P :].transpose(0, 1)


class _ShortConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, past: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, past, taps, bias)
        y = x.new_empty(x.shape)
        ctx.sizes = [*x.shape, len(taps), row_distance(x)]
        call("convolution_forward", ctx.sizes, [x, past, taps.contiguous(), bias.contiguous(), y])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        x, past, taps, bias = ctx.saved_tensors
        gradients = tuple(x.new_empty(part.shape) for part in (x, past, taps, bias))
        arrays = [dy.contiguous(), x, past, taps.contiguous(), bias.contiguous(), *gradients]
        call("convolution_backward", ctx.sizes, arrays)
        return gradients
