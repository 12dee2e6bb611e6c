"""The selective state space, compiled, with its rates, its skip and its gate."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call, in_rows, kept_for_backward, row_distance

SEGMENT = 16
"""Steps whose states are computed again going back, as in `source/selective.c`."""


class Inputs(NamedTuple):
    """What the scan is driven by, time first.

    Attributes:
        raw: softplus of it is how long each step lasts
        u: the input
        b: how the input enters the states
        c: how the states are read
        z: what opens the gate

    """

    raw: Float[Tensor, "T B E"]
    u: Float[Tensor, "T B E"]
    b: Float[Tensor, "T B N"]
    c: Float[Tensor, "T B N"]
    z: Float[Tensor, "T B E"]


def gated_selective_scan(
    inputs: Inputs,
    rates: Float[Tensor, "N E"],
    skip: Float[Tensor, " E"],
    initial: Float[Tensor, "B N E"],
) -> tuple[Float[Tensor, "T B E"], Float[Tensor, "B N E"]]:
    """(c . h + skip u) silu(z) at every step, and the last states h."""
    keep = kept_for_backward(*inputs, rates, skip, initial)
    return _Selective.apply(*(in_rows(part) for part in inputs), rates, skip, initial, keep)


class _Selective(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        raw: Tensor,
        u: Tensor,
        b: Tensor,
        c: Tensor,
        z: Tensor,
        rates: Tensor,
        skip: Tensor,
        initial: Tensor,
        keep: bool,
    ) -> tuple[Tensor, Tensor]:
        T, B, E = u.shape
        inputs, weights = [raw, u, b, c, z], [rates.contiguous(), skip.contiguous()]
        h = initial.clone(memory_format=torch.contiguous_format)
        y = u.new_empty(T, B, E)
        borders = u.new_empty(-(-T // SEGMENT) if keep else 0, *h.shape)
        ctx.sizes = [T, B, E, len(rates), keep, *(row_distance(part) for part in inputs)]
        call("selective_forward", ctx.sizes, [*inputs, *weights, h, y, borders])
        if keep:
            ctx.save_for_backward(*inputs, *weights, borders)
        return y, h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dh: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, rates, skip, borders = ctx.saved_tensors
        dh = dh.clone(memory_format=torch.contiguous_format)
        into = [dy.new_empty(part.shape) for part in inputs]
        weights = [torch.empty_like(rates), torch.empty_like(skip)]
        arrays = [dy.contiguous(), *inputs, rates, skip, borders, dh, *into, *weights]
        call("selective_backward", ctx.sizes, arrays)
        return *into, *weights, dh, None
