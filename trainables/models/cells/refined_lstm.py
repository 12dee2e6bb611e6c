"""``refined_lstm``: an LSTM whose forget gate is refined by another (Gu et al. 2020, UR-LSTM).

f, r, z, o = V x_t + U h_{t-1} + b, sigmoids of f, r and o
g = r (1 - (1 - f)^2) + (1 - r) f^2
c_t = g c_{t-1} + (1 - g) tanh(z), h_t = o tanh(c_t)

A sigmoid near 1 hardly learns. The refined gate lies between f^2 and 1 - (1 - f)^2, and r, far from
its ends, moves it where f cannot.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.first_weights import ForgetBiasConfig, Uniform, forget_bias
from trainables.models.layer import PartConfig, Surroundings
from trainables.models.projected import Projected, recurred


class RefinedLstm(Projected):
    """Writes what it forgets, by a gate that can be moved at its ends."""

    class Config(PartConfig):
        """``forget_bias``: of f; what is written is 1 - g, so that no other bias opposes it."""

        kind: Literal["refined_lstm"] = "refined_lstm"
        forget_bias: ForgetBiasConfig = Uniform.Config()

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around, maps=4)
        D = around.width
        self.recurrent = nn.Parameter(torch.empty(4 * D, D).uniform_(-(D**-0.5), D**-0.5))
        with torch.no_grad():
            self.enter.bias[:D] = forget_bias(config.forget_bias).draw(D)

    def advance(
        self, driven: Float[Tensor, "B M"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        h, c = state
        f, r, z, o = (driven + recurred(h, self.recurrent)).chunk(4, dim=-1)
        f, r = torch.sigmoid(f), torch.sigmoid(r)
        g = torch.lerp(f * f, f * (2 - f), r)
        c = torch.lerp(torch.tanh(z), c, g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero states h and c, in float32 at least."""
        return self.zeros(batch_size, self.width), self.zeros(batch_size, self.width)

    def flops_per_step(self, length: int) -> float:
        """Eight square maps."""
        return 2.0 * 8 * self.width**2
