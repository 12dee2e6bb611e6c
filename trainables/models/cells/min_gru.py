"""``min_gru``: the GRU whose gates see the input alone, a linear scan (Feng et al. 2024).

z = sigmoid(W_z x_t + b_z)
c = g(W_c x_t + b_c), g(u) = u + 1/2 for u >= 0, else sigmoid(u)
h_t = (1 - z) h_{t-1} + z c
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from trainables.models.first_weights import Constant, ForgetBiasConfig, forget_bias
from trainables.models.input_gated import InputGated, positive
from trainables.models.layer import PartConfig, Surroundings


class MinGru(InputGated):
    """A weighted mean of candidates; the weights depend on the input at each step alone."""

    class Config(PartConfig):
        """``forget_bias``: the first -b_z, a number or a kind: above 0, keep the state."""

        kind: Literal["min_gru"] = "min_gru"
        forget_bias: ForgetBiasConfig = Constant.Config()

    compiled = "min_gru"

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around, maps=2)
        with torch.no_grad():
            self.project.bias[: around.width] = -forget_bias(config.forget_bias).draw(around.width)

    def gates(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """1 - z and z c; the former as sigmoid(-z), which is exact near 0."""
        z, c = maps
        return torch.sigmoid(-z), torch.sigmoid(z) * positive(c)
