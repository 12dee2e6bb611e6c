"""Weights of attention whose positions are counted by gates, compiled."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.models.kernels.door import call


def contextual_weights(
    scores: Float[Tensor, "B H C S"],
    at_counts: Float[Tensor, "B H C P"],
    offset: int,
    window: int | None,
) -> Float[Tensor, "B H C S"]:
    """The softmax of scores, each raised by what stands for the gates open since its key.

    Golovneva et al. 2024, eq. 3 to 6; as `trainables.models.scored_attention` has it by operators.

    Args:
        scores: of query and key
        at_counts: for 0 .. P - 1 open gates, of each query
        offset: steps from the first key to the first query
        window: how many steps are seen, the step itself among them; None for all of them

    """
    return _Weights.apply(scores.contiguous(), at_counts.contiguous(), offset, window or 0)


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, at_counts: Tensor, offset: int, window: int) -> Tensor:
        B, H, C, S = scores.shape
        weights = torch.empty_like(scores)
        ctx.sizes = [B * H, C, S, at_counts.shape[-1], offset, window]
        call("contextual_forward", ctx.sizes, [scores, at_counts, weights])
        ctx.save_for_backward(scores, at_counts, weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dweights: Tensor) -> tuple[Tensor | None, ...]:
        scores, at_counts, weights = ctx.saved_tensors
        dscores, dat = torch.empty_like(scores), torch.empty_like(at_counts)
        arrays = [dweights.contiguous(), scores, at_counts, weights, dscores, dat]
        call("contextual_backward", ctx.sizes, arrays)
        return dscores, dat, None, None
