"""Heads normed and gated, compiled: what stands behind a matrix memory."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call, in_rows, row_distance


def gated_root_mean_square(
    x: Float[Tensor, "T B H*E"],
    weight: Float[Tensor, " E"],
    z: Float[Tensor, "T B H*E"],
    eps: float,
) -> Float[Tensor, "T B H*E"]:
    """x / sqrt(mean x^2 + eps) weight silu(z), the mean over each head."""
    return _Normed.apply(x.contiguous(), in_rows(z), eps, "root_mean_square", len(weight), weight)


def gated_group(
    x: Float[Tensor, "T B H*E"],
    weight: Float[Tensor, " H*E"],
    bias: Float[Tensor, " H*E"],
    z: Float[Tensor, "T B H*E"],
    heads: int,
    eps: float,
) -> Float[Tensor, "T B H*E"]:
    """sigmoid(z) (x normed in each head, times weight, plus bias)."""
    width = len(weight) // heads
    return _Normed.apply(x.contiguous(), in_rows(z), eps, "group", width, weight, bias)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, z: Tensor, eps: float, kind: str, width: int, *weights: Tensor
    ) -> Tensor:
        T, B, D = x.shape
        y = torch.empty_like(x)
        ctx.kind, ctx.sizes = kind, [T * B, D // width, width, row_distance(z)]
        ctx.eps = x.new_full((1,), eps)
        given = [part.contiguous() for part in weights]
        call(f"{kind}_forward", ctx.sizes, [x, *given, z, y, ctx.eps])
        ctx.save_for_backward(x, z, *given)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, z, *weights = ctx.saved_tensors
        dx, dz = dy.new_empty(x.shape), dy.new_empty(z.shape)
        dweights = [torch.empty_like(part) for part in weights]
        arrays = [dy.contiguous(), x, *weights, z, dx, *dweights, dz, ctx.eps]
        call(f"{ctx.kind}_backward", ctx.sizes, arrays)
        return dx, dz, None, None, None, *dweights
