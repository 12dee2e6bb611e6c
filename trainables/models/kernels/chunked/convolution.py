"""A convolution as long as the sequence, exactly causal: no transform sees what comes later."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.kernels.chunked.given_types import in_given_types
from trainables.models.kernels.chunked.system import CHUNK, toeplitz


@in_given_types
def long_convolution(u: Float[Tensor, "B T D"], h: Float[Tensor, "T D"]) -> Float[Tensor, "B T D"]:
    """y_t = sum_s h_s u_{t-s} in each channel, s from 0 to t; O(T log^2 T).

    Products with Toeplitz matrices inside chunks; then, for halves of one, two, four chunks and so
    on, what the first half of each pair leaves to the second, by Fourier transforms that see the
    first half alone.
    """
    T = u.shape[1]
    if torch.compiler.is_exporting():  # a graph for any T has no fixed number of halves
        return _at_once(u, h)
    L = min(T, CHUNK)
    u_DBT, h_DT = u.permute(2, 0, 1), h.t()
    u_DBT = nn.functional.pad(u_DBT, (0, -T % L))
    y = (u_DBT.unflatten(2, (-1, L)) @ toeplitz(h_DT[:, :L]).mT[:, None]).flatten(2)
    half = L
    while half < T:
        y = y + _across(u_DBT, h_DT, half)
        half *= 2
    return y[..., :T].permute(1, 2, 0)


def operations_per_step(length: int) -> float:
    """Operations for one step of one channel; transforms of the filter serve the whole batch."""
    chunk = min(length, CHUNK)
    levels = max(0, math.ceil(math.log2(length / chunk)))
    return 2.0 * chunk + sum(5 * math.log2(2 * chunk * 2**level) for level in range(levels))


def _at_once(u: Float[Tensor, "B T D"], h: Float[Tensor, "T D"]) -> Float[Tensor, "B T D"]:
    """The sums as they are written, in O(T^2)."""
    D, T = u.shape[2], u.shape[1]
    past = nn.functional.pad(u.transpose(1, 2), (T - 1, 0))
    return nn.functional.conv1d(past, h.t().flip(1)[:, None], groups=D).transpose(1, 2)


def _across(
    u: Float[Tensor, "D B U"], h: Float[Tensor, "D T"], half: int
) -> Float[Tensor, "D B U"]:
    """What the first ``half`` of each pair of halves adds to the second.

    Circular convolutions of a pair's length: what wraps around falls into the first half.
    """
    length = u.shape[2]
    pairs = math.ceil((length - half) / (2 * half))
    whole = nn.functional.pad(u, (0, max(0, 2 * half * pairs - length)))[..., : 2 * half * pairs]
    first = whole.unflatten(2, (pairs, 2 * half))[..., :half]
    filters = torch.fft.rfft(h[:, : 2 * half], n=2 * half)[:, None, None]
    circular = torch.fft.irfft(torch.fft.rfft(first, n=2 * half) * filters, n=2 * half)
    second = nn.functional.pad(circular[..., half:], (half, 0)).flatten(2)
    return nn.functional.pad(second, (0, length - second.shape[2]))
