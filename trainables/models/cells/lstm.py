"""``lstm``: long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

i, f, g, o = W x_t + U h_{t-1} + b
c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)
h_t = sigmoid(o) tanh(c_t)
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
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream


class Lstm(Recurrence):
    """Gated memory; `torch.nn.LSTM` underneath."""

    class Config(PartConfig):
        """How the cell starts.

        Attributes:
            forget_bias: the forget gate's bias, a number or a kind: above 0, remember at first
            recurrent_weights: what U starts from

        """

        kind: Literal["lstm"] = "lstm"
        forget_bias: ForgetBiasConfig = Constant.Config()
        recurrent_weights: RecurrentWeights = "uniform"

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        self.fused = nn.LSTM(around.width, around.width, batch_first=True)
        start_recurrent_(self.fused.all_weights[0][1], config.recurrent_weights)
        start = forget_bias(config.forget_bias)
        kept = start.draw(around.width)
        with torch.no_grad():  # torch adds two biases; their sum is the one of the equations
            self._start_gate(1, kept)
            if start.opposes_input:
                self._start_gate(0, -kept)

    def _start_gate(self, gate: int, bias: Float[Tensor, " D"]) -> None:
        rows = slice(gate * self.width, (gate + 1) * self.width)
        _, _, input_bias, state_bias = self.fused.all_weights[0]
        input_bias[rows] = bias
        state_bias[rows] = 0

    def forward(self, x: Stream) -> Stream:
        """The fused kernel's scan."""
        return self._fused(x)[0]

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """The same from ``state`` on."""
        h, c = (part[None].to(x.dtype) for part in state)
        y, (h, c) = self._fused(x, (h, c))
        return y, (h[0], c[0])

    def _fused(
        self, x: Stream, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Stream, tuple[Tensor, ...]]:
        """In the types of autocast, where the processor has a fused kernel in them."""
        if not (x.device.type == "cpu" and torch.is_autocast_enabled("cpu")) or _fuses_bfloat16():
            return self.fused(x, state)
        with torch.autocast("cpu", enabled=False):
            full = None if state is None else tuple(part.float() for part in state)
            return self.fused(x.float(), full)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero state (h, c)."""
        zeros = self.fused.all_weights[0][1].new_zeros(batch_size, self.width)
        return zeros, zeros

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above; the state is (h, c)."""
        h, c = torch.lstm_cell(x, state, *self.fused.all_weights[0])
        return h, (h, c)

    def flops_per_step(self, length: int) -> float:
        """Four gates, each two square maps."""
        return 2.0 * 8 * self.width**2


def _fuses_bfloat16() -> bool:
    """oneDNN's LSTM in bfloat16 needs AVX-512; on other processors torch asks for it in vain."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
