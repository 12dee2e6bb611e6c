"""``lmu``: the Legendre memory unit (Voelker et al. 2019), in parallel (Chilkuri & Eliasmith 2021).

u_t = W_u x_t + b_u, M signals; each is held over a sliding window of theta steps by d numbers:
theta m' = A m + B u, A_ij = (2i + 1) (-1 if i < j else (-1)^(i-j+1)), B_i = (2i + 1) (-1)^i
y_t = tanh(W_m m_t + W_x x_t + b)

The m are coefficients of Legendre polynomials over the window (HiPPO-LegT, Gu et al. 2020).
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.kernels.chunked.system import System, chunked_system, products_per_step
from trainables.models.kernels.scan import precise
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream


class Lmu(Recurrence):
    """Delay lines of fixed weights between learned maps: what is held is not learned."""

    class Config(PartConfig):
        """What is held.

        Attributes:
            theta: steps of the window
            order: d, polynomials; waves of up to about d / 2 periods a window are held
            num_signals: M, signals that are held

        """

        kind: Literal["lmu"] = "lmu"
        theta: float = Field(default=512.0, ge=1)
        order: int = Field(default=32, ge=1, le=512)
        num_signals: int = Field(default=4, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        D, M = around.width, config.num_signals
        self.signals = nn.Linear(D, M)
        self.read = nn.Linear(M * config.order, D, bias=False)
        self.skip = nn.Linear(D, D)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Chunk by chunk; signals stand side by side in the batch, as they share their matrices."""
        A, b = self._sampled()
        every = torch.eye(len(b), dtype=b.dtype, device=b.device)
        u = self.signals(x).to(b.dtype).transpose(0, 1)
        system = System(A[None], b[None], every[None])
        m, last = chunked_system(system, u.flatten(1)[..., None], state[0].flatten(0, 1)[:, None])
        m_TBMd = m.squeeze(2).unflatten(1, u.shape[1:])
        return self._answer(m_TBMd.transpose(0, 1), x), (last.view_as(state[0]),)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state m (B, M, d), in float32 at least."""
        shape = batch_size, self.config.num_signals, self.config.order
        weight = self.read.weight
        return (weight.new_zeros(shape, dtype=precise(weight.dtype)),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        A, b = self._sampled()
        m = state[0] @ A.mT + self.signals(x).to(b.dtype)[..., None] * b
        return self._answer(m, x), (m,)

    def _sampled(self) -> tuple[Float[Tensor, "d d"], Float[Tensor, " d"]]:
        """The memory's matrices, where the weights are."""
        weight = self.read.weight
        A, b = sampled_memory(self.config.order, self.config.theta)
        wide = precise(weight.dtype)
        return A.to(weight.device, wide), b.to(weight.device, wide)

    def _answer(self, m: Float[Tensor, "*N M d"], x: Float[Tensor, "*N D"]) -> Tensor:
        """tanh(W_m m + W_x x + b)."""
        return torch.tanh(self.read(m.flatten(-2).to(x.dtype)) + self.skip(x))

    def flops_per_step(self, length: int) -> float:
        """The maps, and each signal's memory in and between chunks."""
        D, M, d = self.width, self.config.num_signals, self.config.order
        held = products_per_step(length, state_size=d, num_read=d)
        return 2.0 * (D * M + M * d * D + D**2 + M * held)


@functools.cache
def sampled_memory(order: int, window: float) -> tuple[Float[Tensor, "d d"], Float[Tensor, " d"]]:
    """A and B for steps of 1 during which u is held, in float64.

    Holding the input is a system whose last row and column carry it (Van Loan 1978).
    """
    i = torch.arange(order, dtype=torch.float64, device="cpu")
    signs = 1 - 2 * (i % 2)
    alternating = -signs[:, None] * signs
    below = torch.ones_like(alternating, dtype=torch.bool).tril()
    joint = torch.zeros(order + 1, order + 1, dtype=torch.float64, device="cpu")
    joint[:-1, :-1] = (2 * i + 1)[:, None] * torch.where(below, alternating, -1.0)
    joint[:-1, -1] = (2 * i + 1) * signs
    held = torch.linalg.matrix_exp(joint / window)
    return held[:-1, :-1], held[:-1, -1]
