"""``rnn``: the plain recurrent net (Elman 1990): h_t = tanh(W x_t + U h_{t-1} + b)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.first_weights import RecurrentWeights, start_recurrent_
from trainables.models.kernels.compiled.maps import linear
from trainables.models.kernels.compiled.rnn import rnn_scan
from trainables.models.kernels.door import suits
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
        """A fused kernel's scan: ours where it is compiled, else torch's."""
        state = self.initial_state(x.shape[0])
        if suits(x, *state, *self.fused.all_weights[0]):
            return self.scan(x, state)[0]
        return self.fused(x)[0]

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """The same from ``state`` on."""
        weights = self.fused.all_weights[0]
        if not suits(x, *state, *weights):
            y, last = self.fused(x, state[0][None].to(x.dtype))
            return y, (last[0],)
        enter, recur, enter_bias, recur_bias = weights
        projected = linear(x.transpose(0, 1), enter, enter_bias + recur_bias)
        y_TBD, last = rnn_scan(projected, recur, state[0])
        return y_TBD.transpose(0, 1), (last,)

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
