"""``min_gru``: the GRU whose gates see the input alone, a linear scan (Feng et al. 2024).

z = sigmoid(W_z x_t + b_z)
c = g(W_c x_t + b_c), g(u) = u + 1/2 for u >= 0, else sigmoid(u)
h_t = (1 - z) h_{t-1} + z c
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.first_weights import Constant, ForgetBiasConfig, forget_bias
from trainables.models.layer import PartConfig, Recurrence, Site
from trainables.models.scan import linear_scan, precise
from trainables.shapes import Stream


def positive(u: Tensor) -> Tensor:
    """The papers' g: continuous, rising and above 0."""
    return torch.where(u >= 0, u + 0.5, u.sigmoid())


class MinGru(Recurrence):
    """A weighted mean of candidates; the weights depend on the input at each step alone."""

    class Config(PartConfig):
        """``forget_bias``: the first -b_z, a number or a kind: above 0, keep the state."""

        kind: Literal["min_gru"] = "min_gru"
        forget_bias: ForgetBiasConfig = Constant.Config()

    def __init__(self, config: Config, site: Site) -> None:
        super().__init__(config, site)
        self.project = nn.Linear(site.width, 2 * site.width)
        with torch.no_grad():
            self.project.bias[: site.width] = -forget_bias(config.forget_bias).draw(site.width)

    def forward(self, x: Stream) -> Stream:
        """All gates at once, then the scan."""
        kept, added = self._gates(x.transpose(0, 1).contiguous())
        h_TBD = linear_scan(kept, added, *self.initial_state(x.shape[0]))
        return h_TBD.transpose(0, 1).to(x.dtype)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state h, in float32 at least."""
        weight = self.project.weight
        return (weight.new_zeros(batch_size, self.width, dtype=precise(weight.dtype)),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        kept, added = self._gates(x)
        h = kept * state[0] + added
        return h.to(x.dtype), (h,)

    def _gates(self, x: Float[Tensor, "*N D"]) -> tuple[Tensor, Tensor]:
        """The share of the state that is kept, 1 - z, and what is added, z c."""
        z, c = self.project(x).chunk(2, dim=-1)
        return torch.sigmoid(-z), torch.sigmoid(z) * positive(c)

    def flops_per_step(self, length: int) -> float:
        """Two square maps."""
        return 2.0 * 2 * self.width**2
