"""``mamba``: a state space whose rates follow the input (Gu & Dao 2023).

u, z = W_in x_t, u = silu(convolution of u over a few steps)
r, b, c = W_x u, dt = softplus(W_dt r + bias)
h_t = exp(dt A) h_{t-1} + dt u b, N numbers for each of the E channels, A < 0
y_t = W_out ((c . h_t + d u) silu(z))
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.first_weights import TimescaleConfig, inverse_softplus
from trainables.models.kernels.compiled.convolution import short_convolution
from trainables.models.kernels.compiled.maps import mapped
from trainables.models.kernels.compiled.selective import Inputs, gated_selective_scan
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import precise
from trainables.models.kernels.selective_scan import Drive, selective_scan
from trainables.models.layer import Recurrence, Surroundings
from trainables.models.short_convolution import ShortConvolution
from trainables.shapes import Stream


class Mamba(Recurrence):
    """The selective state space with its gate and its short convolution."""

    class Config(TimescaleConfig):
        """How much is carried.

        Attributes:
            state_size: N, numbers a channel
            expand: channels inside, in widths of the stream
            taps: steps that the convolution sees

        """

        kind: Literal["mamba"] = "mamba"
        state_size: int = Field(default=16, ge=1)
        expand: int = Field(default=2, ge=1)
        taps: int = Field(default=4, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, E, N = around.width, config.expand * around.width, config.state_size
        rank = -(-D // 16)
        self.sizes = [rank, N, N]
        self.into = nn.Linear(D, 2 * E, bias=False)
        self.convolution = ShortConvolution(E, config.taps)
        self.select = nn.Linear(E, sum(self.sizes), bias=False)
        self.rate = nn.Linear(rank, E)
        self.log_decay = nn.Parameter(torch.arange(1.0, N + 1).log()[:, None].repeat(1, E))
        self.skip = nn.Parameter(torch.ones(E))
        self.out = nn.Linear(E, D, bias=False)
        nn.init.uniform_(self.rate.weight, -(rank**-0.5), rank**-0.5)
        with torch.no_grad():
            self.rate.bias.copy_(inverse_softplus(config.draw_log_dt(E).exp()))

    def forward(self, x: Stream) -> Stream:
        """Everything but the scan at once."""
        state = self.initial_state(x.shape[0])
        if suits(x, *state, *self.parameters()):
            return self.scan(x, state)[0]
        u, z = self.into(x).chunk(2, dim=-1)
        u = self.convolution(u)
        drive = Drive(*(part.transpose(0, 1) for part in self._drive(u)))
        y_TBE = selective_scan(drive, self._rates(), state[1])
        return self._answer(y_TBE.transpose(0, 1), u, z)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """By compiled kernels where they run, else step by step."""
        if not suits(x, *state, *self.parameters()):
            return super().scan(x, state)
        past, h = state
        u, z = mapped(self.into, x.transpose(0, 1)).chunk(2, dim=-1)
        u, past = short_convolution(u, self.convolution.taps, self.convolution.bias, past)
        r, b, c = mapped(self.select, u).split(self.sizes, dim=-1)
        inputs = Inputs(mapped(self.rate, r), u, b, c, z)
        y_TBE, h = gated_selective_scan(inputs, self._rates(), self.skip, h)
        return mapped(self.out, y_TBE).transpose(0, 1), (past, h)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros: the convolution's past, and h (B, N, E) in float32 at least."""
        h = self.log_decay.new_zeros(
            batch_size, *self.log_decay.shape, dtype=precise(self.log_decay.dtype)
        )
        return self.convolution.initial_state(batch_size), h

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        past, h = state
        u, z = self.into(x).chunk(2, dim=-1)
        u, past = self.convolution.step(u, past)
        dt, wide_u, b, c = self._drive(u)
        h = torch.exp(dt[:, None] * self._rates()) * h + (dt * wide_u)[:, None] * b[..., None]
        return self._answer((c[:, None] @ h).squeeze(1), u, z), (past, h)

    def _drive(self, u: Float[Tensor, "*M E"]) -> Drive:
        """What the input makes of rates, writing and reading."""
        r, b, c = self.select(u).split(self.sizes, dim=-1)
        wide = precise(u.dtype)
        dt = nn.functional.softplus(self.rate(r).to(wide))
        return Drive(dt, u.to(wide), b.to(wide), c.to(wide))

    def _rates(self) -> Float[Tensor, "N E"]:
        """The matrix A."""
        return -self.log_decay.to(precise(self.log_decay.dtype)).exp()

    def _answer(self, y: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """W_out ((y + d u) silu(z))."""
        return self.out((y.to(u.dtype) + self.skip * u) * nn.functional.silu(z))

    def flops_per_step(self, length: int) -> float:
        """The maps, the convolution, and six operations on each of N E states."""
        N, E = self.log_decay.shape
        maps = 3 * self.width * E + E * sum(self.sizes) + E * self.sizes[0]
        return 2.0 * (maps + E * self.config.taps) + 6.0 * E * N
