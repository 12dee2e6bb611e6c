"""Pairs of numbers that turn: complex numbers, told in real ones."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def turned(x: Float[Tensor, "*M N"], angles: Float[Tensor, "*#M J"]) -> Float[Tensor, "*M N"]:
    """Each of the N / 2 pairs by its angle; their first numbers stand before all second ones."""
    one, other = x.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos * one - sin * other, sin * one + cos * other), dim=-1)


def turns_so_far(turns: Float[Tensor, "B T *J"]) -> Float[Tensor, "B T *J"]:
    """The sum of all turns up to each step, less whole ones.

    Summed in float64: a long sum in float32 would no longer know one turn from the next.
    """
    return turns.double().cumsum(1).remainder(2 * math.pi).to(turns.dtype)
