"""``mamba2``: a state space with one rate a head (Dao & Gu 2024).

z, u, b, c, r = W_in x_t; u, b, c = silu(convolution over a few steps)
dt = softplus(r + bias), a = exp(-dt rate), one number in each of H heads
S_t = a S_{t-1} + dt b u^T, y_t = W_out norm((S_t^T c + d u) silu(z))

A head's memory decays as a whole, so that a chunk of steps is a few products of matrices and its
state may be large.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.first_weights import TimescaleConfig, inverse_softplus
from trainables.models.kernels.chunked.decaying import chunked_decaying, products_per_step
from trainables.models.kernels.scan import precise
from trainables.models.layer import Recurrence, Surroundings
from trainables.models.short_convolution import ShortConvolution
from trainables.shapes import Stream


def channels_inside(num_heads: int, expand: int, width: int) -> int:
    """E, ``expand`` times the stream's ``width``.

    Raises:
        ValueError: if heads of equal size do not make it up.
    """
    E = expand * width
    if E % num_heads:
        raise ValueError(
            f"num_heads: {num_heads} is not allowed; it must divide expand times the hidden size "
            f"({E})"
        )
    return E


class Mamba2(Recurrence):
    """The selective state space as a matrix memory."""

    class Config(TimescaleConfig):
        """How much is carried.

        Attributes:
            num_heads: H, must divide the channels inside
            state_size: N, numbers a channel
            expand: channels inside, in widths of the stream
            taps: steps that the convolution sees

        """

        kind: Literal["mamba2"] = "mamba2"
        num_heads: int = Field(default=4, ge=1)
        state_size: int = Field(default=64, ge=1)
        expand: int = Field(default=2, ge=1)
        taps: int = Field(default=4, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, N, H = around.width, config.state_size, config.num_heads
        E = channels_inside(H, config.expand, D)
        self.sizes = [E, E + 2 * N, H]
        self.into = nn.Linear(D, sum(self.sizes), bias=False)
        self.convolution = ShortConvolution(E + 2 * N, config.taps)
        self.dt_bias = nn.Parameter(inverse_softplus(config.draw_log_dt(H).exp()))
        self.log_rate = nn.Parameter(torch.empty(H).uniform_(1, 16).log())
        self.skip = nn.Parameter(torch.ones(H))
        self.norm = nn.RMSNorm(E, eps=1e-5)
        self.out = nn.Linear(E, D, bias=False)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Chunk by chunk."""
        past, S = state
        z, ubc, r = self.into(x).split(self.sizes, dim=-1)
        ubc, past = self.convolution.scan(ubc, past)
        u, b, c, dt, log_a = self._drive(ubc, r)
        written = (dt[..., None] * u).transpose(1, 2)
        o, S = chunked_decaying(c, b, written, log_a.transpose(1, 2), S)
        return self._answer(o.transpose(1, 2), u, z), (past, S)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros: the convolution's past, and S (B, H, N, E / H) in float32 at least."""
        c, weight = self.config, self.out.weight
        head_width = weight.shape[1] // c.num_heads
        shape = batch_size, c.num_heads, c.state_size, head_width
        S = weight.new_zeros(shape, dtype=precise(weight.dtype))
        return self.convolution.initial_state(batch_size), S

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        past, S = state
        z, ubc, r = self.into(x).split(self.sizes, dim=-1)
        ubc, past = self.convolution.step(ubc, past)
        u, b, c, dt, log_a = self._drive(ubc, r)
        written = (dt[..., None] * u)[..., None, :]  # B H 1 P
        S = log_a.exp()[..., None, None] * S + b[:, None, :, None] * written
        return self._answer((c[:, None, None] @ S).squeeze(-2), u, z), (past, S)

    def _drive(self, ubc: Float[Tensor, "*M C"], r: Float[Tensor, "*M H"]) -> tuple[Tensor, ...]:
        """The input u (*M, H, P), b and c (*M, N), dt and log a (*M, H)."""
        wide, N = precise(ubc.dtype), self.config.state_size
        u, b, c = ubc.to(wide).split([ubc.shape[-1] - 2 * N, N, N], dim=-1)
        dt = nn.functional.softplus((r + self.dt_bias).to(wide))
        log_a = -dt * self.log_rate.to(wide).exp()
        return u.unflatten(-1, (self.config.num_heads, -1)), b, c, dt, log_a

    def _answer(
        self, o: Float[Tensor, "*M H P"], u: Float[Tensor, "*M H P"], z: Float[Tensor, "*M E"]
    ) -> Tensor:
        """W_out norm((o + d u) silu(z))."""
        y = (o + self.skip[:, None] * u).flatten(-2) * nn.functional.silu(z)
        return self.out(self.norm(y.to(self.norm.weight.dtype)))

    def flops_per_step(self, length: int) -> float:
        """The maps, the convolution, and the heads' products."""
        c, E = self.config, self.config.expand * self.width
        maps = self.width * (sum(self.sizes) + E) + (E + 2 * c.state_size) * c.taps
        held = products_per_step(length, c.num_heads, c.state_size, E // c.num_heads)
        return 2.0 * (maps + held)
