"""The Neural Turing Machine, compiled: any controller, any number of heads."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.compiled.maps import outer_sum
from trainables.models.kernels.compiled.memories.controller import Driven
from trainables.models.kernels.door import call, kept_for_backward

SEGMENT = 16
"""Steps whose memories are computed again going back, as in `source/slots.h`."""


class Heads(NamedTuple):
    """How many there are of each, and S = 2 max_shift + 1."""

    reading: int
    writing: int
    shifts: int


def ntm_scan(
    driven: Driven,
    interface: Float[Tensor, "I D"],
    bias: Float[Tensor, " I"],
    state: tuple[Tensor, ...],
    heads: Heads,
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B R"], tuple[Tensor, ...]]:
    """The controller's answers, what was read, and the last state; all as the layer has them.

    Args:
        driven: the controller with its inputs
        interface: the map of the controller's answers to what the heads are told
        bias: what is added to that
        state: memory (B N W), weights (B H N), reads, hidden and cell before the first step
        heads: how many

    """
    memory, weights, reads, hidden, cell = state
    tensors = (driven.projected, driven.weight, interface, bias, memory.mT, weights, reads)
    keep = kept_for_backward(*tensors, hidden, cell)
    hs, rs, last_memory, last_weights, last_cell = _Ntm.apply(
        *tensors, hidden, cell, driven.code, heads, keep
    )
    last_hidden = hs[-1] if hidden.shape[1] else hidden
    return hs, rs, (last_memory.mT, last_weights, rs[-1], last_hidden, last_cell)


class _Ntm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        weight: Tensor,
        interface: Tensor,
        bias: Tensor,
        memory: Tensor,
        weights: Tensor,
        reads: Tensor,
        hidden: Tensor,
        cell: Tensor,
        code: int,
        heads: Heads,
        keep: bool,
    ) -> tuple[Tensor, ...]:
        T, B, G = projected.shape
        told_size, D = interface.shape
        W, N = memory.shape[1:]
        H = heads.reading + heads.writing
        slots, kept = (T + 1, T) if keep else (2, 1)
        new = projected.new_empty
        M = memory.clone(memory_format=torch.contiguous_format)
        all_weights, all_reads = new(slots, B, H, N), new(T + 1, B, reads.shape[1])
        hs, cells = new(T + 1, B, D), new(slots, *cell.shape)
        all_weights[0], all_reads[0], cells[0] = weights, reads, cell
        hs[0] = hidden if hidden.shape[1] else 0
        act, told, contents = new(kept, B, G), new(kept, B, told_size), new(kept, B, H, N)
        borders = new(-(-kept // SEGMENT), B, W, N)
        sizes = [T, B, D, code, N, W, *heads, keep]
        call("ntm_forward", sizes, [
            projected, weight.t().contiguous(), interface.t().contiguous(), bias.contiguous(),
            M, all_weights, all_reads, hs, cells, act, told, contents, borders,
        ])  # fmt: skip
        last = T if keep else T % 2
        if keep:
            ctx.sizes = sizes
            ctx.save_for_backward(
                weight, interface, all_weights, hs, cells, act, told, contents, borders, all_reads
            )
        return hs[1:], all_reads[1:], M, all_weights[last].clone(), cells[last].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dhs: Tensor, drs: Tensor, dM: Tensor, dweights: Tensor, dcell: Tensor
    ) -> tuple[Tensor | None, ...]:
        weight, interface, *left, reads = ctx.saved_tensors
        hs, act, told = left[1], left[3], left[4]
        dM, dweights, dcell = (
            part.clone(memory_format=torch.contiguous_format) for part in (dM, dweights, dcell)
        )
        dreads, dhidden = torch.zeros_like(reads[0]), torch.zeros_like(hs[0])
        dprojected, dtold = torch.empty_like(act), torch.empty_like(told)
        call("ntm_backward", ctx.sizes, [
            dhs.contiguous(), drs.contiguous(), weight.contiguous(), interface.contiguous(),
            *left, dM, dweights, dreads, dhidden, dcell, dprojected, dtold,
        ])  # fmt: skip
        return (
            dprojected,
            *product_gradients(dprojected, dtold, hs, reads, weight),
            dM,
            dweights,
            dreads,
            dhidden if has_hidden(weight, reads) else dhidden[:, :0],
            dcell,
            None,
            None,
            None,
        )


def has_hidden(weight: Float[Tensor, "G K"], reads: Float[Tensor, "T B R"]) -> bool:
    """Whether the controller hears a hidden state as well."""
    return weight.shape[1] > reads.shape[-1]


def product_gradients(
    dprojected: Float[Tensor, "T B G"],
    dtold: Float[Tensor, "T B I"],
    hidden: Float[Tensor, "T1 B D"],
    reads: Float[Tensor, "T1 B R"],
    weight: Float[Tensor, "G K"],
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients in the controller's weight, in the interface and in its bias."""
    dweight = [outer_sum(dprojected, reads[:-1])]
    if has_hidden(weight, reads):
        dweight.append(outer_sum(dprojected, hidden[:-1]))
    return torch.cat(dweight, dim=1), outer_sum(dtold, hidden[1:]), dtold.sum((0, 1))
