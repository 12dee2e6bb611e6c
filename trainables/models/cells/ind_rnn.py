"""``ind_rnn``: units that hear only themselves (Li et al. 2018): h_t = relu(W x_t + u h_{t-1} + b).

The vector u is held within |u| <= 2^(1/T), so that a state at most doubles in T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainables.models.element_wise import ElementWise
from trainables.models.kernels.compiled.maps import mapped
from trainables.models.kernels.compiled.rnn import rectified_scan
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import precise, scan_backwards
from trainables.models.layer import PartConfig, Surroundings
from trainables.shapes import Stream


class IndRnn(ElementWise):
    """The recurrence without a matrix: its gradient over time is a product of numbers."""

    class Config(PartConfig):
        """``longest_lag`` is T: the longest dependency expected, in steps."""

        kind: Literal["ind_rnn"] = "ind_rnn"
        longest_lag: int = Field(default=1024, ge=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        self.bound = 2 ** (1 / config.longest_lag)
        self.project = nn.Linear(around.width, around.width)
        self.recurrent = nn.Parameter(torch.empty(around.width).uniform_(0, self.bound))

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """All inputs at once, then a loop: compiled, or one that writes in place."""
        x_TBD = x.transpose(0, 1)
        if suits(x, *state, *self.parameters()):
            h_TBD, last = rectified_scan(mapped(self.project, x_TBD), self._held(), *state)
        else:
            h_TBD, last = _scan(self._drive(x_TBD.contiguous()), self._held(), *state)
        return h_TBD.transpose(0, 1).to(x.dtype), (last,)

    def driven(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N 1 D"]:
        """W x + b."""
        return self._drive(x).unsqueeze(-2)

    def held(self) -> Sequence[Float[Tensor, " D"]]:
        """The vector u within its bounds."""
        return (self._held(),)

    def states(
        self,
        p: Float[Tensor, "T B 1 D"],
        q: Sequence[Float[Tensor, "B D"]],
        h: Float[Tensor, "B D"],
    ) -> Float[Tensor, "T B D"]:
        """The scan, as if of one sequence that is B times as wide."""
        states, _ = _scan(p.flatten(1)[:, None], q[0].flatten(), h.flatten()[None])
        return states.view(-1, *h.shape)

    def answered(self, h: Float[Tensor, "*N D"], x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """The state."""
        return h.to(x.dtype)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state h, in float32 at least."""
        dtype = precise(self.recurrent.dtype)
        return (self.recurrent.new_zeros(batch_size, self.width, dtype=dtype),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equation above."""
        h = torch.relu(self._held() * state[0] + self._drive(x))
        return h.to(x.dtype), (h,)

    def _drive(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """W x + b."""
        return self.project(x).to(precise(self.recurrent.dtype))

    def _held(self) -> Float[Tensor, " D"]:
        """The vector u within its bounds; the gradient passes, so that it can come back inside."""
        u = self.recurrent.to(precise(self.recurrent.dtype))
        return u + (u.clamp(-self.bound, self.bound) - u).detach()

    def flops_per_step(self, length: int) -> float:
        """One square map."""
        return 2.0 * self.width**2


def _scan(
    drive: Float[Tensor, "T B D"], u: Float[Tensor, " D"], initial: Float[Tensor, "B D"]
) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "B D"]]:
    """The states, compiled where kernels run, and the last of them."""
    if suits(drive, u, initial):
        return rectified_scan(drive, u, initial)
    h = _RectifiedScan.apply(u, drive, initial)
    return h, h[-1]


class _RectifiedScan(torch.autograd.Function):
    """h_t = relu(u h_{t-1} + x_t); where h_t > 0 the gradient runs through a linear recurrence."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, x: Tensor, initial: Tensor) -> Tensor:
        h = torch.empty_like(x)
        h_t = initial
        for x_t, out_t in zip(x.unbind(), h.unbind(), strict=True):
            h_t = torch.addcmul(x_t, u, h_t, out=out_t).clamp_(min=0)
        ctx.save_for_backward(u, h, initial)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, h, initial = ctx.saved_tensors
        active = h > 0
        dx = scan_backwards(u * active, g).mul_(active)
        du = dx[0] * initial
        if len(h) > 1:
            du = du + (dx[1:] * h[:-1]).sum(0)
        return du.sum(0), dx, u * dx[0]
