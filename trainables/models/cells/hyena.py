"""``hyena``: gates and convolutions as long as the sequence (Poli et al. 2023).

v, x_1, ..., x_N = W x_t convolved over a few steps; z_1 = v
z_{n+1} = x_n (h_n * z_n + d_n z_n) in each of D channels, y = W_out z_{N+1}
h_n(s) = exp(-a s / T) F(s)_n, F a net with sines of [s / T, cos(2 pi k s / T), sin(2 pi k s / T)]

The filters h are functions of the distance s, so that no length is the last.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.kernels.chunked.convolution import long_convolution, operations_per_step
from trainables.models.kernels.scan import precise
from trainables.models.layer import Layer, PartConfig, Surroundings
from trainables.models.short_convolution import ShortConvolution
from trainables.shapes import Stream

SLOWEST, FASTEST = (math.log(100) / part for part in (1.5, 0.3))
"""The rates a: a channel is down to a hundredth after 0.3 to 1.5 times T steps."""


class Hyena(Layer):
    """Looks back over everything, by filters that a small net draws."""

    class Config(PartConfig):
        """What the filters are like.

        Attributes:
            longest_lag: T, the scale of the filters in steps
            order: N, how many filters and gates follow each other
            taps: steps of the short convolution
            filter_width: of the net that draws the filters
            num_bands: how many frequencies k it sees

        """

        kind: Literal["hyena"] = "hyena"
        longest_lag: int = Field(default=1024, ge=2)
        order: int = Field(default=2, ge=1, le=64)
        taps: int = Field(default=3, ge=1)
        filter_width: int = Field(default=32, ge=1)
        num_bands: int = Field(default=8, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, N, F = around.width, config.order, config.filter_width
        self.into = nn.Linear(D, (N + 1) * D, bias=False)
        self.convolution = ShortConvolution((N + 1) * D, config.taps)
        self.bands = nn.Linear(1 + 2 * config.num_bands, F)
        self.hidden = nn.Linear(F, F)
        self.draw = nn.Linear(F, N * D, bias=False)
        self.skips = nn.Parameter(torch.randn(N, D))
        self.out = nn.Linear(D, D, bias=False)

    def forward(self, x: Stream) -> Stream:
        """Gate by gate."""
        filters = self._filters(x.shape[1], x)
        wide = self.convolution.weighted(self.into(x)).to(filters.dtype)
        z, *gates = wide.chunk(self.config.order + 1, dim=-1)
        for gate, h, skip in zip(gates, filters, self.skips, strict=True):
            z = gate * (long_convolution(z, h) + skip * z)
        return self.out(z.to(x.dtype))

    def _filters(self, length: int, like: Tensor) -> Float[Tensor, "N T D"]:
        """The filters h at every distance."""
        wide, scale = precise(like.dtype), self.config.longest_lag
        s = torch.arange(length, device=like.device, dtype=wide)[:, None] / scale
        k = torch.arange(1, self.config.num_bands + 1, device=like.device, dtype=wide)
        angles = 2 * math.pi * k * s
        seen = torch.cat((s, angles.cos(), angles.sin()), dim=1).to(like.dtype)
        hidden = torch.sin(self.hidden(torch.sin(self.bands(seen))))
        drawn = self.draw(hidden).to(wide).unflatten(1, (self.config.order, -1)).transpose(0, 1)
        rates = torch.linspace(SLOWEST, FASTEST, self.width, device=like.device, dtype=wide)
        return drawn * torch.exp(-rates * s)

    def flops_per_step(self, length: int) -> float:
        """The maps, the short and the long convolutions, and the net that draws the filters.

        The net serves the whole batch, and is counted as for one sequence.
        """
        D, N, F = self.width, self.config.order, self.config.filter_width
        maps = (N + 2) * D**2 + (N + 1) * D * self.config.taps
        net = F * (1 + 2 * self.config.num_bands) + F**2 + N * D * F
        return 2.0 * (maps + net) + N * D * operations_per_step(length)

    def state_bytes(self, length: int) -> int:
        """All that was convolved, and the past of the short convolution."""
        D, N = self.width, self.config.order
        return 4 * D * (N * length + (N + 1) * (self.config.taps - 1))
