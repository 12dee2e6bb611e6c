"""``lru``: the linear recurrent unit (Orvieto et al. 2023).

h_t = lambda h_{t-1} + gamma (B x_t), lambda = exp(-exp(nu) + i exp(theta)), N complex numbers
y_t = Re(C h_t) + d x_t, then a gated mix of the channels
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self

import torch
from jaxtyping import Complex, Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from trainables.models.element_wise import ElementWise, complex_states
from trainables.models.gated_mix import GatedMix
from trainables.models.kernels.compiled.linear import complex_scan
from trainables.models.kernels.compiled.maps import linear
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import linear_scan, precise
from trainables.models.layer import PartConfig, State, Surroundings
from trainables.shapes import Stream


class Lru(ElementWise):
    """N damped oscillators driven by the input; stable at any weights, as |lambda| < 1."""

    class Config(PartConfig):
        """Where the oscillators start: in a ring of the complex plane.

        Attributes:
            state_size: N, complex numbers
            r_min: least damping |lambda| at the start
            r_max: largest; about 1 / (1 - r_max) steps are remembered
            max_phase: largest angle a step, in radians

        """

        kind: Literal["lru"] = "lru"
        state_size: int = Field(default=64, ge=1)
        r_min: float = Field(default=0.9, ge=0, lt=1)
        r_max: float = Field(default=0.999, gt=0, lt=1)
        max_phase: float = Field(default=2 * math.pi, gt=0, le=2 * math.pi)

        @model_validator(mode="after")
        def _ring(self) -> Self:
            if self.r_min >= self.r_max:
                raise ValueError(f"r_min: {self.r_min} must be below r_max ({self.r_max})")
            return self

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        N, D = config.state_size, around.width
        squared = torch.empty(N).uniform_(config.r_min**2, config.r_max**2)  # even in the area
        decay = -0.5 * squared.clamp(min=1e-12).log()
        self.nu = nn.Parameter(decay.log())
        self.theta = nn.Parameter(((1 - torch.rand(N)) * config.max_phase).log())
        self.gamma = nn.Parameter(0.5 * torch.log(-torch.expm1(-2 * decay)))  # keeps the variance
        self.drive = nn.Linear(D, 2 * N, bias=False)  # B, real and imaginary parts side by side
        self.read = nn.Linear(2 * N, D, bias=False)  # Re C and -Im C side by side
        nn.init.normal_(self.drive.weight, std=(2 * D) ** -0.5)
        nn.init.normal_(self.read.weight, std=N**-0.5)
        self.skip = nn.Parameter(torch.randn(D))
        self.mix = GatedMix(D)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """The scan over all steps between two maps."""
        x_TBD = x.transpose(0, 1).contiguous()
        if suits(x, *state, *self.parameters()):
            return self._scan_compiled(x_TBD, *state)
        initial = torch.view_as_complex(state[0])
        h_TBN = linear_scan(self._factors()[None, None], self._driven(x_TBD), initial)
        h = torch.view_as_real(h_TBN)
        return self._answer(h, x_TBD).transpose(0, 1), (h[-1],)

    def _scan_compiled(
        self, x: Float[Tensor, "T B D"], initial: Float[Tensor, "B N 2"]
    ) -> tuple[Stream, tuple[Tensor, ...]]:
        """With real parts before imaginary ones, and gamma within the map of the inputs."""
        B = self.drive.weight.unflatten(0, (-1, 2)) * self.gamma.exp()[:, None, None]
        C = self.read.weight.unflatten(1, (-1, 2)).transpose(1, 2).flatten(1)
        driven = linear(x, B.transpose(0, 1).flatten(0, 1)).unflatten(2, (2, -1))
        factors = torch.view_as_real(self._factors()).t()
        h, last = complex_scan(factors, driven, initial.mT)
        y = linear(h.flatten(2), C) + self.skip * x
        return self.mix.compiled(y).transpose(0, 1), (last.mT.contiguous(),)

    def driven(self, x: Float[Tensor, "*M D"]) -> Complex[Tensor, "*M 1 N"]:
        """gamma (B x)."""
        return self._driven(x).unsqueeze(-2)

    def held(self) -> Sequence[Complex[Tensor, " N"]]:
        """The lambdas."""
        return (self._factors(),)

    def states(
        self,
        p: Complex[Tensor, "T B 1 N"],
        q: Sequence[Complex[Tensor, "B N"]],
        h: Complex[Tensor, "B N"],
    ) -> Complex[Tensor, "T B N"]:
        """The scan."""
        return complex_states(q[0], p.squeeze(2), h)

    def answered(self, h: Complex[Tensor, "*M N"], x: Float[Tensor, "*M D"]) -> Tensor:
        """mix(Re(C h) + d x)."""
        return self._answer(torch.view_as_real(h), x)

    def units(self, state: State) -> Complex[Tensor, "B N"]:
        """In complex numbers."""
        return torch.view_as_complex(state[0])

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state, (B, N, 2): real and imaginary parts, in float32 at least."""
        return (self.nu.new_zeros(batch_size, len(self.nu), 2, dtype=precise(self.nu.dtype)),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        h = torch.view_as_real(self._factors() * torch.view_as_complex(state[0]) + self._driven(x))
        return self._answer(h, x), (h,)

    def _factors(self) -> Complex[Tensor, " N"]:
        """The lambdas."""
        wide = precise(self.nu.dtype)
        return torch.polar(torch.exp(-self.nu.to(wide).exp()), self.theta.to(wide).exp())

    def _driven(self, x: Float[Tensor, "*M D"]) -> Complex[Tensor, "*M N"]:
        """What drives the states, gamma (B x)."""
        wide = precise(self.nu.dtype)
        parts = self.drive(x).to(wide).unflatten(-1, (-1, 2)) * self.gamma.to(wide).exp()[:, None]
        return torch.view_as_complex(parts)

    def _answer(self, h: Float[Tensor, "*M N 2"], x: Float[Tensor, "*M D"]) -> Tensor:
        """mix(Re(C h) + d x)."""
        return self.mix(self.read(h.flatten(-2).to(x.dtype)) + self.skip * x)

    def flops_per_step(self, length: int) -> float:
        """Two maps of D x 2 N, the products with lambda, and the mix."""
        return 2.0 * 4 * self.width * len(self.nu) + 8.0 * len(self.nu) + self.mix.flops_per_step()
