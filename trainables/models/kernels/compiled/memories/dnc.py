"""The differentiable neural computer, compiled: whatever of it there is to choose."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.compiled.memories.controller import Driven
from trainables.models.kernels.compiled.memories.ntm import SEGMENT, has_hidden, product_gradients
from trainables.models.kernels.door import call, kept_for_backward


class Fixes(NamedTuple):
    """What was added to the memory of 2016, as `Dnc.Config` has it; sharpened with links alone."""

    masked: bool
    erases_freed: bool
    sharpened: bool


class Start(NamedTuple):
    """The state before the first step; slots side by side, L is N with links and zero without."""

    memory: Float[Tensor, "B W N"]
    links: Float[Tensor, "B L L"]
    usage: Float[Tensor, "B N"]
    write_weights: Float[Tensor, "B N"]
    read_weights: Float[Tensor, "B R N"]
    precedence: Float[Tensor, "B L"]
    reads: Float[Tensor, "B R"]
    hidden: Float[Tensor, "B _"]
    cell: Float[Tensor, "B _"]


def dnc_scan(
    driven: Driven,
    interface: Float[Tensor, "I D"],
    bias: Float[Tensor, " I"],
    start: Start,
    fixes: Fixes,
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B R"], Start]:
    """The controller's answers, what was read, and the last state.

    Args:
        driven: the controller with its inputs
        interface: the map of the controller's answers to what the memory is told
        bias: what is added to that
        start: the state before the first step
        fixes: what the memory does beyond that of 2016

    """
    tensors = (driven.projected, driven.weight, interface, bias, *start)
    keep = kept_for_backward(*tensors)
    hs, rs, *last, cell = _Dnc.apply(*tensors, driven.code, fixes, keep)
    hidden = hs[-1] if start.hidden.shape[1] else start.hidden
    return hs, rs, Start._make([*last, rs[-1], hidden, cell])


class _Dnc(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, weight: Tensor, interface: Tensor, bias: Tensor, *rest: Any
    ) -> tuple[Tensor, ...]:
        start, (code, fixes, keep) = Start(*rest[:-3]), rest[-3:]
        T, B, G = projected.shape
        told_size, D = interface.shape
        W, N = start.memory.shape[1:]
        R = start.read_weights.shape[1]
        slots, kept = (T + 1, T) if keep else (2, 1)
        new = projected.new_empty
        M, L = (
            part.clone(memory_format=torch.contiguous_format)
            for part in (start.memory, start.links)
        )
        carried = [
            _first(part, slots)
            for part in (start.usage, start.write_weights, start.read_weights, start.precedence)
        ]
        reads, cells = _first(start.reads, T + 1), _first(start.cell, slots)
        hs = new(T + 1, B, D)
        hs[0] = start.hidden if start.hidden.shape[1] else 0
        act, told, contents = new(kept, B, G), new(kept, B, told_size), new(kept, B, R + 1, N)
        ways = new(kept, B, 2 * R * fixes.sharpened, N)
        order = torch.empty(kept, B, N, dtype=torch.int32)
        segments = -(-kept // SEGMENT)
        borders = [new(segments, *M.shape), new(segments, *L.shape)]
        sizes = [T, B, D, code, N, W, R, L.numel() > 0, *fixes, keep]
        call("dnc_forward", sizes, [
            projected, weight.t().contiguous(), interface.t().contiguous(), bias.contiguous(),
            M, L, *carried, reads, hs, cells, act, told, contents, ways, order,
            *borders,
        ])  # fmt: skip
        if keep:
            ctx.sizes = sizes
            ctx.save_for_backward(
                weight, interface, *carried, hs, cells, act, told, contents, ways, order,
                *borders, reads,
            )  # fmt: skip
        last = T if keep else T % 2
        return hs[1:], reads[1:], M, L, *(part[last].clone() for part in (*carried, cells))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dhs: Tensor, drs: Tensor, *dlast: Tensor) -> tuple[Tensor | None, ...]:
        weight, interface, *left, reads = ctx.saved_tensors
        hs, act, told = left[4], left[6], left[7]
        *dstates, dcell = (part.clone(memory_format=torch.contiguous_format) for part in dlast)
        dreads, dhidden = torch.zeros_like(reads[0]), torch.zeros_like(hs[0])
        dprojected, dtold = torch.empty_like(act), torch.empty_like(told)
        call("dnc_backward", ctx.sizes, [
            dhs.contiguous(), drs.contiguous(), weight.contiguous(), interface.contiguous(),
            *left, *dstates, dreads, dhidden, dcell, dprojected, dtold,
        ])  # fmt: skip
        return (
            dprojected,
            *product_gradients(dprojected, dtold, hs, reads, weight),
            *dstates,
            dreads,
            dhidden if has_hidden(weight, reads) else dhidden[:, :0],
            dcell,
            None,
            None,
            None,
        )


def _first(part: Tensor, slots: int) -> Tensor:
    """Room for ``slots`` states, the first of them given."""
    room = part.new_empty(slots, *part.shape)
    room[0] = part
    return room
