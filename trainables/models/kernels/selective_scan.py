"""The scan of a selective state space (Gu & Dao 2023).

Its T x B x N x E states would fill the memory, and moving them would take all the time. Only those
at the borders of chunks are kept; the backward pass computes a chunk's again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from trainables.models.kernels.scan import linear_scan

CHUNK = 16

States = Float[Tensor, "B N E"]
Rates = Float[Tensor, "N E"]


class Drive(NamedTuple):
    """What drives E channels of N states each, time first, float32 at least.

    Attributes:
        dt: how long each step lasts, above 0
        u: the input
        b: how the input enters the states
        c: how the states are read

    """

    dt: Float[Tensor, "T B E"]
    u: Float[Tensor, "T B E"]
    b: Float[Tensor, "T B N"]
    c: Float[Tensor, "T B N"]


def selective_scan(drive: Drive, rates: Rates, initial: States) -> Float[Tensor, "T B E"]:
    """h_t = exp(dt_t rates) h_{t-1} + dt_t u_t b_t; y_t = c_t . h_t; gradients of first order."""
    if drive.u.device.type == "cpu":
        return _StepByStep.apply(*drive, rates, initial)
    return scan_by_chunks(drive, rates, initial)


def scan_by_chunks(
    drive: Drive, rates: Rates, initial: States, chunk: int = 8 * CHUNK
) -> Float[Tensor, "T B E"]:
    """`selective_scan` with few launches: all steps of a chunk at once."""
    answers, h = [], initial
    for piece in zip(*(part.split(chunk) for part in drive), strict=True):
        y, h = checkpoint(
            _scan_chunk, Drive(*piece), rates, h, use_reentrant=False, preserve_rng_state=False
        )
        answers.append(y)
    return torch.cat(answers)


def _scan_chunk(
    drive: Drive, rates: Rates, initial: States
) -> tuple[Float[Tensor, "T B E"], States]:
    """The answers of one chunk and the states after it."""
    factors = torch.exp(drive.dt[:, :, None] * rates)
    h = linear_scan(factors, (drive.dt * drive.u)[:, :, None] * drive.b[..., None], initial)
    return (h * drive.c[..., None]).sum(2), h[-1]


class _StepByStep(torch.autograd.Function):
    """In place, so that a step's states never leave the processor's cache."""

    @staticmethod
    def forward(
        ctx: Any, dt: Tensor, u: Tensor, b: Tensor, c: Tensor, rates: Tensor, initial: Tensor
    ) -> Tensor:
        y = torch.empty_like(u, memory_format=torch.contiguous_format)
        h, factors, read = initial.clone(), torch.empty_like(initial), torch.empty_like(initial)
        borders = []
        steps = zip(dt.unbind(), (dt * u).unbind(), b.unbind(), c.unbind(), y.unbind(), strict=True)
        for t, (dt_t, w_t, b_t, c_t, y_t) in enumerate(steps):
            if t % CHUNK == 0:
                borders.append(h.clone())
            _advance(h, dt_t, w_t, b_t, rates, factors, out=h)
            torch.sum(torch.mul(h, c_t[..., None], out=read), 1, out=y_t)
        ctx.save_for_backward(dt, u, b, c, rates, torch.stack(borders))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, ...]:
        dt, u, b, c, rates, borders = ctx.saved_tensors
        w = dt * u
        ddt, dw, db, dc = (torch.empty_like(part) for part in (dt, u, b, c))
        drates, dh = torch.zeros_like(borders[0]), torch.zeros_like(borders[0])
        h = borders.new_empty(CHUNK + 1, *dh.shape)
        factors, part = torch.empty_like(h), torch.empty_like(dh)
        for chunk in reversed(range(len(borders))):
            steps = range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(g)))
            h[0] = borders[chunk]
            for s, t in enumerate(steps):
                _advance(h[s], dt[t], w[t], b[t], rates, factors[s], out=h[s + 1])
            for s, t in reversed(list(enumerate(steps))):
                g_t = g[t][:, None]
                torch.sum(torch.mul(h[s + 1], g_t, out=part), 2, out=dc[t])
                dh.addcmul_(c[t][..., None], g_t)
                torch.sum(torch.mul(dh, w[t][:, None], out=part), 2, out=db[t])
                torch.sum(torch.mul(dh, b[t][..., None], out=part), 1, out=dw[t])
                dh.mul_(factors[s])
                torch.mul(dh, h[s], out=part)
                drates.addcmul_(part, dt[t][:, None])
                torch.sum(part.mul_(rates), 1, out=ddt[t])
        return ddt + dw * u, dw * dt, db, dc, drates.sum(0), dh


def _advance(
    h: Tensor, dt: Tensor, w: Tensor, b: Tensor, rates: Tensor, factors: Tensor, out: Tensor
) -> None:
    """One step of the states from ``h`` into ``out``; leaves exp(dt rates) in ``factors``."""
    torch.mul(dt[:, None], rates, out=factors).exp_()
    torch.mul(h, factors, out=out).addcmul_(b[..., None], w[:, None])
