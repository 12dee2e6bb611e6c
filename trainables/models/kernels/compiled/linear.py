"""Linear recurrences, compiled: gated by the input alone, complex, and diagonal ones."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import (
    call,
    in_rows,
    kept_for_backward,
    row_distance,
    states_after,
)

SEGMENT = 32
"""Steps whose states are computed again going back, as in `source/diagonal.c`."""


def gated_scan(
    kind: str, maps: Float[Tensor, "T B M"], initial: Float[Tensor, "B D"]
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "B D"]]:
    """The states of ``min_gru`` or ``min_lstm`` from the maps of the input, and the last."""
    return _Gated.apply(maps.contiguous(), initial, kind)


def complex_scan(
    factors: Float[Tensor, "2 N"], x: Float[Tensor, "T B 2 N"], initial: Float[Tensor, "B 2 N"]
) -> tuple[Float[Tensor, "T B 2 N"], Float[Tensor, "B 2 N"]]:
    """h_t = a h_{t-1} + x_t, real parts before imaginary ones: the states, and the last."""
    return _Complex.apply(factors, x.contiguous(), initial)


def diagonal_scan(
    u: Float[Tensor, "T B D"],
    factors: Float[Tensor, "2 n D"],
    weights: Float[Tensor, "2 n D"],
    initial: Float[Tensor, "B 2 n D"],
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "B 2 n D"]]:
    """y_t = sum over n of Re(w s_t), s_t = a s_{t-1} + u_t in each channel; and the last states."""
    keep = kept_for_backward(u, factors, weights, initial)
    return _Diagonal.apply(in_rows(u), factors, weights, initial, keep)


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, initial: Tensor, kind: str) -> tuple[Tensor, Tensor]:
        h = states_after(initial, len(maps))
        call(f"{kind}_forward", [len(maps), *initial.shape], [maps, h])
        ctx.save_for_backward(maps, h)
        ctx.kind = kind
        return h[1:], h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        maps, h = ctx.saved_tensors
        dmaps, dh = torch.empty_like(maps), dlast.clone(memory_format=torch.contiguous_format)
        call(f"{ctx.kind}_backward", [*dy.shape], [dy.contiguous(), maps, h, dmaps, dh])
        return dmaps, dh, None


class _Complex(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, x: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
        T, B, _, N = x.shape
        h = states_after(initial, T)
        call("complex_forward", [T, B, N], [a.contiguous(), x, h])
        ctx.save_for_backward(a, h)
        return h[1:], h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor, ...]:
        a, h = ctx.saved_tensors
        T, B, _, N = dy.shape
        da, dx = a.new_empty(a.shape), dy.new_empty(dy.shape)
        dh = dlast.clone(memory_format=torch.contiguous_format)
        call("complex_backward", [T, B, N], [dy.contiguous(), a.contiguous(), h, da, dx, dh])
        return da, dx, dh


class _Diagonal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, a: Tensor, w: Tensor, initial: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor]:
        T, B, D = u.shape
        a, w = a.contiguous(), w.contiguous()
        s = initial.clone(memory_format=torch.contiguous_format)
        y = u.new_empty(T, B, D)
        borders = u.new_empty(-(-T // SEGMENT) if keep else 0, *s.shape)
        ctx.sizes = [T, B, D, a.shape[1], keep, row_distance(u)]
        call("diagonal_forward", ctx.sizes, [u, a, w, s, y, borders])
        if keep:
            ctx.save_for_backward(u, a, w, borders)
        return y, s

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        u, a, w, borders = ctx.saved_tensors
        ds = dlast.clone(memory_format=torch.contiguous_format)
        du, da, dw = dy.new_empty(dy.shape), torch.empty_like(a), torch.empty_like(w)
        arrays = [dy.contiguous(), u, a, w, borders, ds, du, da, dw]
        call("diagonal_backward", ctx.sizes, arrays)
        return du, da, dw, ds, None
