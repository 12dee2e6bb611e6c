"""Plain recurrences, compiled: tanh of a matrix, and rectified units that hear only themselves."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.compiled.maps import outer_sum
from trainables.models.kernels.door import call, states_after


def rnn_scan(
    projected: Float[Tensor, "T B D"],
    recurrent: Float[Tensor, "D D"],
    initial: Float[Tensor, "B D"],
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "B D"]]:
    """h_t = tanh(x_t + U h_{t-1}) from h_0 = ``initial``: the states, and the last."""
    return _Rnn.apply(projected.contiguous(), recurrent, initial)


def rectified_scan(
    drive: Float[Tensor, "T B D"], recurrent: Float[Tensor, " D"], initial: Float[Tensor, "B D"]
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "B D"]]:
    """h_t = relu(x_t + u h_{t-1}) from h_0 = ``initial``: the states, and the last."""
    return _Rectified.apply(drive.contiguous(), recurrent, initial)


class _Rnn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, U: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
        h = states_after(initial, len(x))
        call("rnn_forward", [*x.shape], [x, U.t().contiguous(), h])
        ctx.save_for_backward(U, h)
        return h[1:], h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor, ...]:
        U, h = ctx.saved_tensors
        dx, dh = dy.new_empty(dy.shape), dlast.clone(memory_format=torch.contiguous_format)
        call("rnn_backward", [*dy.shape], [dy.contiguous(), U.contiguous(), h, dx, dh])
        return dx, outer_sum(dx, h[:-1]), dh


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, u: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
        h = states_after(initial, len(x))
        call("ind_rnn_forward", [*x.shape], [x, u.contiguous(), h])
        ctx.save_for_backward(u, h)
        return h[1:], h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor, ...]:
        u, h = ctx.saved_tensors
        dx, dh = dy.new_empty(dy.shape), dlast.clone(memory_format=torch.contiguous_format)
        du = torch.empty_like(u, memory_format=torch.contiguous_format)
        call("ind_rnn_backward", [*dy.shape], [dy.contiguous(), u.contiguous(), h, dx, dh, du])
        return dx, du, dh
