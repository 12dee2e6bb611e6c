"""The scan of a selective state space, in chunks (Gu & Dao 2023)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from trainables.models.scan import linear_scan


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


def selective_scan(
    drive: Drive, rates: Float[Tensor, "E N"], initial: Float[Tensor, "B E N"], chunk: int = 32
) -> Float[Tensor, "T B E"]:
    """h_t = exp(dt_t rates) h_{t-1} + dt_t u_t b_t; y_t = c_t . h_t.

    The T x B x E x N states would fill the memory: only those at the borders of chunks are kept,
    and the backward pass computes a chunk's again.
    """
    answers, h = [], initial
    for piece in zip(*(part.split(chunk) for part in drive), strict=True):
        y, h = checkpoint(
            _scan_chunk, Drive(*piece), rates, h, use_reentrant=False, preserve_rng_state=False
        )
        answers.append(y)
    return torch.cat(answers)


def _scan_chunk(
    drive: Drive, rates: Float[Tensor, "E N"], initial: Float[Tensor, "B E N"]
) -> tuple[Float[Tensor, "T B E"], Float[Tensor, "B E N"]]:
    """The answers of one chunk and the states after it."""
    factors = torch.exp(drive.dt[..., None] * rates)
    h = linear_scan(factors, (drive.dt * drive.u)[..., None] * drive.b[:, :, None], initial)
    return (h @ drive.c[..., None]).squeeze(-1), h[-1]
