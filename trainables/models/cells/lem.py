"""``lem``: long expressive memory (Rusch et al. 2022), an ODE of two timescales for each unit.

dt_1, dt_2 = dt sigmoid(V x_t + W y_{t-1} + b)
z_t = z_{t-1} + dt_1 (tanh(V_z x_t + W_z y_{t-1} + b_z) - z_{t-1})
y_t = y_{t-1} + dt_2 (tanh(V_y x_t + W_y z_t + b_y) - y_{t-1})
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.layer import PartConfig, Surroundings
from trainables.models.projected import Projected, recurred


class Lem(Projected):
    """Gates are learned time steps: how much of an equation's second passes in a step."""

    class Config(PartConfig):
        """``largest_step`` is dt: no more than this share of a state is written over at a step."""

        kind: Literal["lem"] = "lem"
        largest_step: float = Field(default=1.0, gt=0, le=1)

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around, maps=4)
        D = around.width
        bound = D**-0.5
        self.from_y = nn.Parameter(torch.empty(3 * D, D).uniform_(-bound, bound))
        self.from_z = nn.Parameter(torch.empty(D, D).uniform_(-bound, bound))

    def advance(
        self, driven: Float[Tensor, "B M"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        y, z = state
        D, dt = self.width, self.config.largest_step
        maps = driven[:, : 3 * D] + recurred(y, self.from_y)
        dt_1, dt_2 = (dt * torch.sigmoid(maps[:, : 2 * D])).chunk(2, dim=-1)
        z = torch.lerp(z, torch.tanh(maps[:, 2 * D :]), dt_1)
        y = torch.lerp(y, torch.tanh(driven[:, 3 * D :] + recurred(z, self.from_z)), dt_2)
        return y, (y, z)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero states y and z, in float32 at least."""
        return self.zeros(batch_size, self.width), self.zeros(batch_size, self.width)

    def flops_per_step(self, length: int) -> float:
        """Eight square maps."""
        return 2.0 * 8 * self.width**2
