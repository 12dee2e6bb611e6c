"""``min_lstm``: the LSTM whose gates see the input alone, a linear scan (Feng et al. 2024).

f, i = sigmoid(W x_t + b), then both divided by f + i, so that the state keeps its scale
c = g(W_c x_t + b_c), g(u) = u + 1/2 for u >= 0, else sigmoid(u)
h_t = f h_{t-1} + i c
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from trainables.models.first_weights import Constant, ForgetBiasConfig, forget_bias
from trainables.models.input_gated import InputGated, positive
from trainables.models.layer import PartConfig, Surroundings


class MinLstm(InputGated):
    """A weighted mean of candidates, the weights from two gates."""

    class Config(PartConfig):
        """``forget_bias``: the forget gate's first bias, a number or a kind: above 0, remember."""

        kind: Literal["min_lstm"] = "min_lstm"
        forget_bias: ForgetBiasConfig = Constant.Config()

    compiled = "min_lstm"

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around, maps=3)
        start = forget_bias(config.forget_bias)
        kept = start.draw(around.width)
        with torch.no_grad():
            self.project.bias[: around.width] = kept
            if start.opposes_input:
                self.project.bias[around.width : 2 * around.width] = -kept

    def gates(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The share f / (f + i) as sigmoid(log f - log i): exact where both gates are shut."""
        f, i, c = maps
        odds = nn.functional.logsigmoid(f) - nn.functional.logsigmoid(i)
        return torch.sigmoid(odds), torch.sigmoid(-odds) * positive(c)
