"""``bilinear_rnn``: each input is a matrix that the state is multiplied by (Giles et al. 1992).

A_t = sum over k of x_t[k] W_k, z_t = h_{t-1} A_t, h_t = z_t / sqrt(mean(z_t^2) + eps), in each of
H heads, whose states are rows.

Nothing is added, so only the state's direction tells, and its length can be kept (Ebrahimi &
Memisevic 2025): the state neither fades nor grows, at any lag. What inputs do to a state need not
commute, and any finite automaton is such a net. h_0 is a vector of ones: another one would be a
change of basis.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.kernels.chunked.given_types import in_given_types
from trainables.models.kernels.compiled.bilinear import bilinear_scan
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import precise
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream

EPS = 1e-6
"""Added to the mean square, which is about 1 at the start."""


class BilinearRnn(Recurrence):
    """A state that inputs move around, and that is not mixed with them."""

    class Config(PartConfig):
        """``num_heads``: H, must divide the hidden size; fewer heads, larger matrices."""

        kind: Literal["bilinear_rnn"] = "bilinear_rnn"
        num_heads: int = Field(default=4, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, H = around.width, config.num_heads
        E = around.head_width(H)
        self.transitions = nn.Parameter(torch.randn(H * E * E, D) / (D * E) ** 0.5)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """By a compiled kernel where it runs, else step by step."""
        if not suits(x, *state, self.transitions):
            return in_given_types(super().scan)(x, state)
        h_TBD, last = bilinear_scan(x.transpose(0, 1), self.transitions, state[0], EPS)
        return h_TBD.transpose(0, 1), (last,)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The state h (B, H, E), ones, in float32 at least."""
        H, weight = self.config.num_heads, self.transitions
        return (weight.new_ones(batch_size, H, self.width // H, dtype=precise(weight.dtype)),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        (h,) = state
        E = h.shape[-1]
        A = nn.functional.linear(x.to(h.dtype), self.transitions.to(h.dtype))
        A = A.unflatten(1, (-1, E, E))
        z = (h[..., None, :] @ A).squeeze(-2)
        h = z * (z.square().mean(-1, keepdim=True) + EPS).rsqrt()
        return h.flatten(1).to(x.dtype), (h,)

    def flops_per_step(self, length: int) -> float:
        """The matrices of a step, and their products with the state."""
        E = self.width // self.config.num_heads
        return 2.0 * self.width * E * (self.width + 1)
