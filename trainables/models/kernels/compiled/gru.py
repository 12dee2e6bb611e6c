"""The gated recurrent unit, compiled, with the map of its inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call, kept_for_backward, states_after


class Weights(NamedTuple):
    """Gates reset, update, new, as `torch.nn.GRU` has them.

    Attributes:
        enter: W, the map of the inputs
        recur: U, the map of the state
        enter_bias: what is added to W x
        recur_bias: what is added to U h

    """

    enter: Float[Tensor, "3*D I"]
    recur: Float[Tensor, "3*D D"]
    enter_bias: Float[Tensor, " 3*D"]
    recur_bias: Float[Tensor, " 3*D"]


def gru_scan(
    x: Float[Tensor, "T B I"], weights: Weights, initial: Float[Tensor, "B D"]
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "B D"]]:
    """The states after each step from ``initial`` on, and the last."""
    keep = kept_for_backward(x, *weights, initial)
    return _Gru.apply(x if x.stride(2) == 1 else x.contiguous(), *weights, initial, keep)


class _Gru(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, W: Tensor, U: Tensor, b: Tensor, c: Tensor, initial: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor]:
        T, B, width = x.shape
        D = initial.shape[1]
        h = states_after(initial, T)
        kept = x.new_empty(T if keep else 1, B, 4 * D)
        W, ctx.sizes = W.contiguous(), [T, B, width, D, x.stride(0), x.stride(1), keep]
        arrays = [x, W, b.contiguous(), U.t().contiguous(), c.contiguous(), h, kept]
        call("gru_forward", ctx.sizes, arrays)
        if keep:
            ctx.save_for_backward(x, W, U, h, kept)
        return h[1:], h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        x, W, U, h, kept = ctx.saved_tensors
        dx, dW, dU = x.new_empty(x.shape), torch.empty_like(W), W.new_empty(U.shape)
        db, dc = W.new_empty(len(W)), W.new_empty(len(W))
        dh = dlast.clone(memory_format=torch.contiguous_format)
        arrays = [dy.contiguous(), x, W, U.contiguous(), h, kept, dx, dW, db, dU, dc, dh]
        call("gru_backward", ctx.sizes, arrays)
        return dx, dW, dU, db, dc, dh, None
