"""Maps of all steps at once, compiled: where torch's products run at half the processor's speed."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call


def linear(
    x: Float[Tensor, "T B I"], weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"] | None = None
) -> Float[Tensor, "T B O"]:
    """W x + b, as `torch.nn.functional.linear`; contiguous, whichever axis of x comes first."""
    return _Linear.apply(x if x.stride(2) == 1 else x.contiguous(), weight, bias)


def mapped(by: nn.Linear, x: Float[Tensor, "T B I"]) -> Float[Tensor, "T B O"]:
    """What a map makes of all steps."""
    return linear(x, by.weight, by.bias)


def outer_sum(g: Float[Tensor, "T B O"], a: Float[Tensor, "T B N"]) -> Float[Tensor, "O N"]:
    """The sum of g a^T over steps and sequences: the gradient in a weight; itself without one."""
    found = g.new_empty(g.shape[2], a.shape[2])
    call("outer_sum", [len(g) * g.shape[1], *found.shape], [g.contiguous(), a.contiguous(), found])
    return found


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        T, B, width = x.shape
        weight = weight.contiguous()
        y = x.new_empty(T, B, len(weight))
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        ctx.sizes = [T, B, width, len(weight), x.stride(0), x.stride(1), ctx.has_bias]
        call("map_forward", ctx.sizes, [x, weight, y if bias is None else bias.contiguous(), y])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dx, dweight, dbias = (
            x.new_empty(x.shape),
            torch.empty_like(weight),
            dy.new_empty(len(weight)),
        )
        call("map_backward", ctx.sizes, [dy.contiguous(), x, weight, dx, dweight, dbias])
        return dx, dweight, dbias if ctx.has_bias else None
