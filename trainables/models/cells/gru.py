"""``gru``: the gated recurrent unit (Cho et al. 2014).

r, z = sigmoid(W x_t + U h_{t-1} + b)
n = tanh(W_n x_t + b_n + r (U_n h_{t-1} + c_n))
h_t = (1 - z) n + z h_{t-1}
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.first_weights import (
    Constant,
    ForgetBiasConfig,
    RecurrentWeights,
    forget_bias,
    start_recurrent_,
)
from trainables.models.kernels.compiled.gru import Weights, gru_scan
from trainables.models.kernels.door import suits
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream


class Gru(Recurrence):
    """Gated memory with one state; `torch.nn.GRU` underneath."""

    class Config(PartConfig):
        """How the cell starts.

        Attributes:
            forget_bias: the update gate's bias, a number or a kind: above 0, keep the state
            recurrent_weights: what U starts from

        """

        kind: Literal["gru"] = "gru"
        forget_bias: ForgetBiasConfig = Constant.Config()
        recurrent_weights: RecurrentWeights = "uniform"

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        self.fused = nn.GRU(around.width, around.width, batch_first=True)
        _, recurrent, input_bias, state_bias = self.fused.all_weights[0]
        start_recurrent_(recurrent, config.recurrent_weights)
        keep = slice(around.width, 2 * around.width)
        with torch.no_grad():  # torch adds two biases; their sum is the one of the equations
            input_bias[keep] = forget_bias(config.forget_bias).draw(around.width)
            state_bias[keep] = 0

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
        y_TBD, last = gru_scan(x.transpose(0, 1), Weights(*weights), state[0])
        return y_TBD.transpose(0, 1), (last,)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state h."""
        return (self.fused.all_weights[0][1].new_zeros(batch_size, self.width),)

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        h = torch.gru_cell(x, state[0], *self.fused.all_weights[0])
        return h, (h,)

    def flops_per_step(self, length: int) -> float:
        """Three gates, each two square maps."""
        return 2.0 * 6 * self.width**2
