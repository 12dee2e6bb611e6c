"""``mamba3``: a state space sampled by trapezoids, whose state turns (Lahoti et al. 2026).

z, u, b, c, r, s, l, w = W_in x_t; b, c = norm(b) + bias, norm(c) + bias, biases of each head's own
dt = softplus(r + bias), a = exp(-dt softplus(s)), g = sigmoid(l), turn = pi tanh(w) dt
S_t = a R(turn) (S_{t-1} + (1 - g) dt b_{t-1} u_{t-1}^T) + g dt b_t u_t^T
y_t = W_out ((S_t^T c_t + d u_t) silu(z))

R turns each pair of a head's N numbers by an angle of its own: a complex state, told in real
numbers (arXiv 2603.15569; one input and one output a head, which is SISO). The write is shared
between where a step begins and where it ends, which stands in for Mamba-2's short convolution.
Turns add up, so that a state which counts by turning needs no decay to forget: parity is one turn
by pi for each 1. In chunks, b and c are turned back by all turns so far, and turn no more.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.cells.mamba2 import channels_inside
from trainables.models.first_weights import TimescaleConfig, inverse_softplus
from trainables.models.kernels.chunked.decaying import chunked_writes, products_per_step
from trainables.models.kernels.scan import precise
from trainables.models.layer import Recurrence, Surroundings
from trainables.models.turning import turned, turns_so_far
from trainables.shapes import Stream

LEAST_RATE = 1e-4
"""Of decay, in 1 / dt: what is held is never held for ever (the authors' code)."""


class Mamba3(Recurrence):
    """The matrix memory of `Mamba2`, sampled by trapezoids and turned."""

    class Config(TimescaleConfig):
        """How much is carried.

        Attributes:
            num_heads: H, must divide the channels inside
            state_size: N, numbers a channel, in pairs
            expand: channels inside, in widths of the stream

        """

        kind: Literal["mamba3"] = "mamba3"
        num_heads: int = Field(default=4, ge=1)
        state_size: int = Field(default=64, ge=2, multiple_of=2)
        expand: int = Field(default=2, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, N, H = around.width, config.state_size, config.num_heads
        E = channels_inside(H, config.expand, D)
        self.sizes = [E, E, N, N, H, H, H, N // 2]
        self.into = nn.Linear(D, sum(self.sizes), bias=False)
        self.dt_bias = nn.Parameter(inverse_softplus(config.draw_log_dt(H).exp()))
        self.b_norm, self.c_norm = nn.RMSNorm(N, eps=1e-5), nn.RMSNorm(N, eps=1e-5)
        self.b_bias, self.c_bias = nn.Parameter(torch.ones(H, N)), nn.Parameter(torch.ones(H, N))
        self.skip = nn.Parameter(torch.ones(H))
        self.out = nn.Linear(E, D, bias=False)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Chunk by chunk, as seen by one who turns with the state from its first step on."""
        before, S = state
        b_0, u_0 = self._parted(before)
        z, u, b, c, dt, log_a, g, turn = self._drive(x)
        angles = turns_so_far(turn)
        k = torch.cat((b_0[:, None], turned(b, -angles)), dim=1).transpose(1, 2)  # B H 1+T N
        v = torch.cat((u_0[:, None], u[:, :-1]), dim=1)
        early = log_a.exp() * (1 - g) * dt
        writes = [
            (k[:, :, :-1], (early[..., None] * v).transpose(1, 2)),
            (k[:, :, 1:], ((g * dt)[..., None] * u).transpose(1, 2)),
        ]
        q = turned(c, -angles).transpose(1, 2)
        o, S = chunked_writes(q, writes, log_a.transpose(1, 2), S)
        last = S.mT, angles[:, -1, :, None]  # pairs are of N
        before = torch.cat((b[:, -1], u[:, -1]), dim=-1)
        return self._answer(o.transpose(1, 2), u, z), (before, turned(*last).mT)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros: the last step's b and u, and S (B, H, N, E / H), in float32 at least."""
        c, weight = self.config, self.out.weight
        H, N, P = c.num_heads, c.state_size, weight.shape[1] // c.num_heads
        shapes = (H, N + P), (H, N, P)
        wide = precise(weight.dtype)
        return tuple(weight.new_zeros(batch_size, *shape, dtype=wide) for shape in shapes)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        before, S = state
        b_0, u_0 = self._parted(before)
        z, u, b, c, dt, log_a, g, turn = self._drive(x)
        early, late = (((1 - g) * dt)[..., None] * u_0, (g * dt)[..., None] * u)
        S = S + b_0[..., None] * early[..., None, :]
        S = log_a.exp()[..., None, None] * turned(S.mT, turn[:, :, None]).mT
        S = S + b[..., None] * late[..., None, :]
        answer = self._answer((c[..., None, :] @ S).squeeze(-2), u, z)
        return answer, (torch.cat((b, u), dim=-1), S)

    def _parted(self, before: Float[Tensor, "B H M"]) -> tuple[Tensor, ...]:
        """The last step's b and u."""
        N = self.config.state_size
        return before.split([N, before.shape[-1] - N], dim=-1)

    def _drive(self, x: Float[Tensor, "*M D"]) -> tuple[Tensor, ...]:
        """z (*M, E); u (*M, H, P); b, c (*M, H, N); dt, log a, g (*M, H); turns (*M, H, N / 2)."""
        z, u, b, c, r, s, mixed, w = self.into(x).split(self.sizes, dim=-1)
        wide = precise(x.dtype)
        b, c = (
            norm(part.to(bias.dtype))[..., None, :].to(wide) + bias.to(wide)
            for norm, part, bias in (
                (self.b_norm, b, self.b_bias),
                (self.c_norm, c, self.c_bias),
            )
        )
        dt = nn.functional.softplus((r + self.dt_bias).to(wide))
        log_a = -dt * nn.functional.softplus(s.to(wide)).clamp(min=LEAST_RATE)
        turn = math.pi * dt[..., None] * w.to(wide).tanh()[..., None, :]
        u = u.to(wide).unflatten(-1, (self.config.num_heads, -1))
        return z, u, b, c, dt, log_a, mixed.to(wide).sigmoid(), turn

    def _answer(
        self, o: Float[Tensor, "*M H P"], u: Float[Tensor, "*M H P"], z: Float[Tensor, "*M E"]
    ) -> Tensor:
        """W_out ((o + d u) silu(z))."""
        y = (o + self.skip[:, None] * u).flatten(-2) * nn.functional.silu(z)
        return self.out(y.to(self.out.weight.dtype))

    def flops_per_step(self, length: int) -> float:
        """The maps and the heads' products."""
        c, E = self.config, self.config.expand * self.width
        maps = self.width * (sum(self.sizes) + E)
        sizes = c.num_heads, c.state_size, E // c.num_heads
        return 2.0 * (maps + products_per_step(length, *sizes, num_writes=2, own_keys=True))
