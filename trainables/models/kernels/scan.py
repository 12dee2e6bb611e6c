"""The scan of a linear recurrence: h_t = a_t h_{t-1} + b_t, element by element.

Time comes first here, so that a step is one contiguous block. On the CPU a loop over time that
writes in place is fastest; elsewhere a scan of logarithmic depth needs far fewer launches.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Num
from torch import Tensor
from torch.autograd.function import once_differentiable


def precise(dtype: torch.dtype) -> torch.dtype:
    """The type to accumulate over time in: ``dtype``, but float32 at least."""
    return torch.promote_types(dtype, torch.float32)


def linear_scan(
    a: Num[Tensor, " #T #*N"], b: Num[Tensor, " T *N"], initial: Num[Tensor, "*N"]
) -> Num[Tensor, " T *N"]:
    """h_t = a_t h_{t-1} + b_t from h_0 = ``initial``, real or complex; gradients of first order.

    Exact for any ``a``: nothing is divided by and no logarithm is taken, so with |a| <= 1 the
    scan is as stable as the recurrence itself at any length.

    Args:
        a: factors; an axis of length 1 stands for one value along all of it
        b: what is added at each step
        initial: the state before the first step

    Returns:
        The states after each step, in the widest type of the three, float32 at least.

    """
    dtype = precise(torch.promote_types(torch.promote_types(a.dtype, b.dtype), initial.dtype))
    return _LinearScan.apply(a.to(dtype), b.to(dtype), initial.to(dtype))


class _LinearScan(torch.autograd.Function):
    """With g the gradient in h: dh_t = g_t + conj(a_{t+1}) dh_{t+1}, a scan again."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
        h = _scan(a.expand(len(b), *a.shape[1:]), b, initial)
        ctx.save_for_backward(a, h, initial)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, h, initial = ctx.saved_tensors
        conj_a = a.conj().resolve_conj()
        db = scan_backwards(conj_a.expand(len(h), *a.shape[1:]), g)
        da = _factors_gradient(db, h, initial).sum_to_size(a.shape)
        return da, db, conj_a[0] * db[0]


def _factors_gradient(db: Tensor, h: Tensor, initial: Tensor) -> Tensor:
    """da_t = db_t conj(h_{t-1})."""
    da = torch.empty_like(h)
    torch.mul(db[0], initial.conj(), out=da[0])
    torch.mul(db[1:], h[:-1].conj(), out=da[1:])
    return da


def _scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    if _calls_are_cheap(b.device):
        h = torch.empty_like(b, memory_format=torch.contiguous_format)
        _loop(a.unbind(), b.unbind(), initial, h.unbind())
        return h
    return scan_by_halves(a, torch.cat([(b[0] + a[0] * initial)[None], b[1:]]))


def scan_backwards(
    a: Num[Tensor, " T #*N"],
    g: Num[Tensor, " T *N"],
) -> Num[Tensor, " T *N"]:
    """d_t = g_t + a_{t+1} d_{t+1}, from the last step to the first; without gradients."""
    if _calls_are_cheap(g.device):
        d = torch.empty_like(g, memory_format=torch.contiguous_format)
        d[-1] = g[-1]
        _loop(a.unbind()[:0:-1], g.unbind()[-2::-1], d[-1], d.unbind()[-2::-1])
        return d
    return scan_by_halves(a.roll(-1, 0).flip(0), g.flip(0)).flip(0)


def _calls_are_cheap(device: torch.device) -> bool:
    return device.type == "cpu"


def _loop(
    a: tuple[Tensor, ...], b: tuple[Tensor, ...], h_t: Tensor, out: tuple[Tensor, ...]
) -> None:
    """Write h_t = a_t h_{t-1} + b_t into ``out``, step by step."""
    for a_t, b_t, out_t in zip(a, b, out, strict=True):
        h_t = torch.addcmul(b_t, a_t, h_t, out=out_t)


def scan_by_halves(
    a: Num[Tensor, " T #*N"],
    b: Num[Tensor, " T *N"],
) -> Num[Tensor, " T *N"]:
    """h_t = a_t h_{t-1} + b_t from h_0 = 0 in 2 log2 T rounds and O(T) work (Blelloch 1990).

    Neighbours are joined into steps of two, which a scan of half the length answers for every
    other step; the steps between follow from those.
    """
    if len(b) == 1:
        return b
    pairs = len(b) // 2 * 2
    first, second = a[0:pairs:2], a[1::2]
    h = torch.empty_like(b)
    h[1::2] = scan_by_halves(first * second, torch.addcmul(b[1::2], second, b[0:pairs:2]))
    h[0] = b[0]
    if len(b) > 2:
        h[2::2] = torch.addcmul(b[2::2], a[2::2], h[1:-1:2])
    return h
