"""``orthogonal_rnn``: a plain recurrence whose matrix turns and never shrinks.

h_t = modrelu(Q h_{t-1} + V x_t), modrelu(z) = sign(z) max(|z| + b, 0)
exponential: Q = exp(A) D (Lezcano-Casado & Martinez-Rubio 2019)
cayley:      Q = (1 + A)^-1 (1 - A) D (Helfrich et al. 2018)

A is skew, free but for that; D is diagonal, -1 for some units and 1 for the others.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainables.models.kernels.chunked.given_types import in_given_types
from trainables.models.kernels.scan import precise
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream


class OrthogonalRnn(Recurrence):
    """Its gradient over time neither vanishes nor explodes but for the rectifier."""

    class Config(PartConfig):
        """How the matrix is made and where it starts.

        Attributes:
            parametrisation: from skew matrices to orthogonal ones
            flipped_share: of the units for which D is -1

        """

        kind: Literal["orthogonal_rnn"] = "orthogonal_rnn"
        parametrisation: Literal["exponential", "cayley"] = "exponential"
        flipped_share: float = Field(default=0.0, ge=0, le=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D = around.width
        self.enter = nn.Linear(D, D, bias=False)
        self.bias = nn.Parameter(torch.empty(D).uniform_(-0.01, 0.01))
        self.skew = nn.Parameter(torch.zeros(D * (D - 1) // 2))  # above the diagonal, row by row
        nn.init.kaiming_normal_(self.enter.weight)
        with torch.no_grad():
            self.skew[self._neighbours()] = self._first_angles(D // 2)

    def _neighbours(self) -> Tensor:
        """Where the pairs (0, 1), (2, 3), ... stand among the entries above the diagonal."""
        first = torch.arange(0, self.width - 1, 2, device=self.skew.device)
        return first * self.width - first * (first + 1) // 2

    def _first_angles(self, count: int) -> Float[Tensor, " P"]:
        """Entries that make each pair of units turn by an angle: over all, or up to a quarter."""
        if self.config.parametrisation == "exponential":  # Henaff et al. 2016
            return torch.empty(count).uniform_(-math.pi, math.pi)
        return torch.tan(torch.empty(count).uniform_(0, math.pi / 2) / 2)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """The matrix once, all inputs at once, then a loop that writes in place."""
        Q = self.rotation()
        driven = self.enter(x.transpose(0, 1)).to(Q.dtype)
        h_TBD = in_given_types(_ModReluScan.apply)(Q, self.bias.to(Q.dtype), driven, *state)
        return h_TBD.transpose(0, 1).to(x.dtype), (h_TBD[-1],)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state h, in float32 at least."""
        return (self.bias.new_zeros(batch_size, self.width, dtype=precise(self.bias.dtype)),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equation above."""
        Q = self.rotation()
        z = self.enter(x).to(Q.dtype) + state[0] @ Q.mT
        h = torch.sign(z) * torch.relu(z.abs() + self.bias.to(Q.dtype))
        return h.to(x.dtype), (h,)

    def rotation(self) -> Float[Tensor, "D D"]:
        """The matrix Q, in float32 at least."""
        D, dtype = self.width, precise(self.skew.dtype)
        rows, columns = torch.triu_indices(D, D, 1, device=self.skew.device)
        A = self.skew.new_zeros(D, D, dtype=dtype)
        A = A.index_put((rows, columns), self.skew.to(dtype))
        A = A - A.mT
        signs = torch.ones(D, dtype=dtype, device=A.device)
        signs[: round(self.config.flipped_share * D)] = -1
        if self.config.parametrisation == "exponential":
            return torch.linalg.matrix_exp(A) * signs
        one = torch.eye(D, dtype=dtype, device=A.device)
        return torch.linalg.solve(one + A, one - A) * signs

    def flops_per_step(self, length: int) -> float:
        """Two square maps; the making of the matrix serves all steps and is left out."""
        return 2.0 * 2 * self.width**2


class _ModReluScan(torch.autograd.Function):
    """The loop; where h is not 0, dz_t = g_t + Q^T dz_{t+1}."""

    @staticmethod
    def forward(ctx: Any, Q: Tensor, b: Tensor, driven: Tensor, initial: Tensor) -> Tensor:
        h, h_t, turned = torch.empty_like(driven), initial, Q.mT
        for driven_t, out_t in zip(driven.unbind(), h.unbind(), strict=True):
            z = torch.addmm(driven_t, h_t, turned)
            h_t = torch.mul(z.sign(), z.abs_().add_(b).clamp_(min=0), out=out_t)
        ctx.save_for_backward(Q, h, initial)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, ...]:
        Q, h, initial = ctx.saved_tensors
        dz = torch.empty_like(g, memory_format=torch.contiguous_format)
        passed, following = (h != 0).to(g.dtype), torch.zeros_like(initial)
        for g_t, passed_t, out_t in zip(
            reversed(g.unbind()), reversed(passed.unbind()), reversed(dz.unbind()), strict=True
        ):
            torch.mul(torch.add(g_t, following), passed_t, out=out_t)
            following = out_t @ Q
        before = torch.cat((initial[None], h[:-1])).flatten(0, 1)
        return dz.flatten(0, 1).mT @ before, (dz * h.sign()).sum((0, 1)), dz, following
