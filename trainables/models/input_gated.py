"""Recurrences whose gates see the input alone, so that a scan answers for all steps at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.element_wise import ElementWise
from trainables.models.kernels.compiled.linear import gated_scan
from trainables.models.kernels.compiled.maps import mapped
from trainables.models.kernels.door import suits
from trainables.models.kernels.scan import linear_scan, precise
from trainables.models.layer import PartConfig, Surroundings
from trainables.shapes import Stream


class InputGated(ElementWise):
    """h_t = kept h_{t-1} + added, both from one map of x_t (Feng et al. 2024)."""

    compiled: ClassVar[str | None] = None
    """What the compiled scan calls these gates, if it knows them."""

    def __init__(self, config: PartConfig, around: Surroundings, maps: int) -> None:
        super().__init__(config, around)
        self.maps = maps
        self.project = nn.Linear(around.width, maps * around.width)

    @abstractmethod
    def gates(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The share of the state that is kept, and what is added, from the maps of the input."""

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """All maps at once, then the scan; compiled kernels make the gates on their way."""
        if self.compiled is not None and suits(x, *state, *self.parameters()):
            h_TBD, last = gated_scan(self.compiled, mapped(self.project, x.transpose(0, 1)), *state)
        else:
            h_TBD = linear_scan(*self._gated(x.transpose(0, 1).contiguous()), *state)
            last = h_TBD[-1]
        return h_TBD.transpose(0, 1).to(x.dtype), (last,)

    def driven(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N M D"]:
        """The maps of x."""
        maps = self.project(x).to(precise(x.dtype))
        return maps.unflatten(-1, (self.maps, self.width))

    def held(self) -> Sequence[Tensor]:
        """Nothing: the input alone decides."""
        return ()

    def states(
        self, p: Float[Tensor, "T B M D"], q: Sequence[Tensor], h: Float[Tensor, "B D"]
    ) -> Float[Tensor, "T B D"]:
        """The scan of the gates, which see the maps alone."""
        if self.compiled is not None and suits(p, h):
            return gated_scan(self.compiled, p.flatten(2), h)[0]
        return linear_scan(*self.gates(p.unbind(2)), h)

    def answered(self, h: Float[Tensor, "*N D"], x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """The state."""
        return h.to(x.dtype)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state h, in float32 at least."""
        weight = self.project.weight
        return (weight.new_zeros(batch_size, self.width, dtype=precise(weight.dtype)),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equation above."""
        kept, added = self._gated(x)
        h = kept * state[0] + added
        return h.to(x.dtype), (h,)

    def _gated(self, x: Float[Tensor, "*N D"]) -> tuple[Tensor, Tensor]:
        """What `gates` makes of x; in half precision a share near 1 would become 1."""
        return self.gates(self.project(x).to(precise(x.dtype)).chunk(self.maps, dim=-1))

    def flops_per_step(self, length: int) -> float:
        """The square maps."""
        return 2.0 * self.project.weight.numel()


def positive(u: Tensor) -> Tensor:
    """The paper's g: u + 1/2 for u >= 0, else sigmoid(u); continuous, rising and above 0."""
    return torch.where(u >= 0, u + 0.5, u.sigmoid())
