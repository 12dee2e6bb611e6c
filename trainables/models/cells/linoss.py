"""``linoss``: forced linear oscillators (Rusch & Rus 2024).

y'' = -A y + B u, N oscillators, sampled every dt; x_t = C y_t + d u_t, then a gated mix

implicit:           z_t = z_{t-1} + dt (-A y_t + B u_t),     y_t = y_{t-1} + dt z_t
implicit_explicit:  z_t = z_{t-1} + dt (-A y_{t-1} + B u_t), y_t = y_{t-1} + dt z_t

The first loses 1 - (1 + dt^2 A)^(-1/2) of its length a step; the second keeps it.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.gated_mix import GatedMix
from trainables.models.kernels.chunked.system import System, chunked_system, products_per_step
from trainables.models.kernels.scan import precise
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream

LARGEST = 3.99
"""Of dt^2 A: from 4 on the second sampling is no oscillation any more, and grows."""


class LinOss(Recurrence):
    """Oscillators without constraints on their frequencies but that A is not negative."""

    class Config(PartConfig):
        """How the oscillators are sampled.

        Attributes:
            state_size: N, oscillators; each carries a place and a speed
            sampling: ``implicit`` damps, ``implicit_explicit`` keeps energy

        """

        kind: Literal["linoss"] = "linoss"
        state_size: int = Field(default=64, ge=1)
        sampling: Literal["implicit", "implicit_explicit"] = "implicit"

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        N, D = config.state_size, around.width
        self.stiffness = nn.Parameter(torch.rand(N))
        self.pace = nn.Parameter(torch.rand(N))
        self.drive = nn.Linear(D, N, bias=False)
        self.read = nn.Linear(N, D, bias=False)
        self.skip = nn.Parameter(torch.randn(D))
        self.mix = GatedMix(D)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Chunk by chunk between two maps."""
        A, b = self._sampled()
        place = torch.eye(2, dtype=A.dtype, device=A.device)[1].expand(len(A), 1, 2)
        driven = self.drive(x).to(A.dtype).transpose(0, 1)
        y_TBN1, last = chunked_system(System(A, b, place), driven, *state)
        return self._answer(y_TBN1.squeeze(-1).transpose(0, 1), x), (last,)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state (B, N, 2), speed and place, in float32 at least."""
        shape = batch_size, len(self.stiffness), 2
        return (self.stiffness.new_zeros(shape, dtype=precise(self.stiffness.dtype)),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        A, b = self._sampled()
        driven = self.drive(x).to(A.dtype)[..., None] * b
        s = torch.einsum("nij,bnj->bni", A, state[0]) + driven
        return self._answer(s[..., 1], x), (s,)

    def _sampled(self) -> tuple[Float[Tensor, "N 2 2"], Float[Tensor, "N 2"]]:
        """The step of (z, y), and what a unit of B u adds to them."""
        wide = precise(self.pace.dtype)
        dt = torch.sigmoid(self.pace.to(wide))
        a = self.stiffness.to(wide).clamp(min=0)
        one = torch.ones_like(dt)
        if self.config.sampling == "implicit":
            s = 1 / (1 + dt**2 * a)
            rows = (s, -dt * a * s, dt * s, s)
            drive = (dt * s, dt**2 * s)
        else:
            a = torch.minimum(a, LARGEST / dt**2)
            rows = (one, -dt * a, dt, 1 - dt**2 * a)
            drive = (dt, dt**2)
        return torch.stack(rows, dim=-1).unflatten(-1, (2, 2)), torch.stack(drive, dim=-1)

    def _answer(self, y: Float[Tensor, "*M N"], x: Float[Tensor, "*M D"]) -> Tensor:
        """mix(C y + d u)."""
        return self.mix(self.read(y.to(x.dtype)) + self.skip * x)

    def flops_per_step(self, length: int) -> float:
        """Two maps of D x N, the oscillators in and between chunks, and the mix."""
        N = len(self.stiffness)
        inside = N * products_per_step(length, state_size=2, num_read=1)
        return 2.0 * (2 * self.width * N + inside) + self.mix.flops_per_step()
