"""``min_lstm``: the LSTM whose gates see the input alone, a linear scan (Feng et al. 2024).

f, i = sigmoid(W x_t + b), then both divided by f + i, so that the state keeps its scale
c = g(W_c x_t + b_c), g(u) = u + 1/2 for u >= 0, else sigmoid(u)
h_t = f h_{t-1} + i c
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.cells.min_gru import positive
from trainables.models.first_weights import Constant, ForgetBiasConfig, forget_bias
from trainables.models.layer import PartConfig, Recurrence, Site
from trainables.models.scan import linear_scan, precise
from trainables.shapes import Stream


class MinLstm(Recurrence):
    """A weighted mean of candidates, the weights from two gates."""

    class Config(PartConfig):
        """``forget_bias``: the forget gate's first bias, a number or a kind: above 0, remember."""

        kind: Literal["min_lstm"] = "min_lstm"
        forget_bias: ForgetBiasConfig = Constant.Config()

    def __init__(self, config: Config, site: Site) -> None:
        super().__init__(config, site)
        self.project = nn.Linear(site.width, 3 * site.width)
        start = forget_bias(config.forget_bias)
        kept = start.draw(site.width)
        with torch.no_grad():
            self.project.bias[: site.width] = kept
            if start.opposes_input:
                self.project.bias[site.width : 2 * site.width] = -kept

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
        """The share of the state that is kept, f / (f + i), and what is added.

        f / (f + i) = sigmoid(log f - log i), which stays exact where both gates are shut.
        """
        f, i, c = self.project(x).chunk(3, dim=-1)
        odds = nn.functional.logsigmoid(f) - nn.functional.logsigmoid(i)
        return torch.sigmoid(odds), torch.sigmoid(-odds) * positive(c)

    def flops_per_step(self, length: int) -> float:
        """Three square maps."""
        return 2.0 * 3 * self.width**2
