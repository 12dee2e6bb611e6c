"""``rnn``: the plain recurrent net (Elman 1990): h_t = tanh(W x_t + U h_{t-1} + b)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.first_weights import RecurrentWeights, start_recurrent_
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream


class Rnn(Recurrence):
    """The net that forgets, for comparison; `torch.nn.RNN` underneath."""

    class Config(PartConfig):
        """``recurrent_weights``: what U starts from."""

        kind: Literal["rnn"] = "rnn"
        recurrent_weights: RecurrentWeights = "uniform"

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        self.fused = nn.RNN(around.width, around.width, batch_first=True)
        start_recurrent_(self.fused.all_weights[0][1], config.recurrent_weights)

    def forward(self, x: Stream) -> Stream:
        """The fused kernel's scan."""
        return self.fused(x)[0]

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state h."""
        return (self.fused.all_weights[0][1].new_zeros(batch_size, self.width),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equation above."""
        h = torch.rnn_tanh_cell(x, state[0], *self.fused.all_weights[0])
        return h, (h,)

    def flops_per_step(self, length: int) -> float:
        """Two square maps."""
        return 2.0 * 2 * self.width**2
