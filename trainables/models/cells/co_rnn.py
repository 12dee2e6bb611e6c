"""``co_rnn``: coupled oscillators (Rusch & Mishra 2021).

z_t = z_{t-1} + dt (tanh(V x_t + W y_{t-1} + U z_{t-1} + b) - gamma y_{t-1} - epsilon z_{t-1})
y_t = y_{t-1} + dt z_t

For small dt the gradient over time is bounded from both sides by the paper's proposition 3.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from trainables.models.layer import PartConfig, Surroundings
from trainables.models.projected import Projected, recurred


class CoRnn(Projected):
    """A net of springs with friction, forced by the input and by one another."""

    class Config(PartConfig):
        """The springs; the defaults are those the paper found for pixel after pixel of MNIST.

        Attributes:
            time_step: dt
            gamma: stiffness of a spring, its frequency squared
            epsilon: friction

        """

        kind: Literal["co_rnn"] = "co_rnn"
        time_step: float = Field(default=0.042, gt=0, le=1)
        gamma: float = Field(default=2.7, gt=0)
        epsilon: float = Field(default=4.7, gt=0)

        @model_validator(mode="after")
        def _comes_to_rest(self) -> Self:
            if 2 * self.time_step * self.epsilon + self.time_step**2 * self.gamma >= 4:
                raise ValueError(
                    f"time_step: {self.time_step} is not allowed; with epsilon {self.epsilon} and "
                    f"gamma {self.gamma} a spring would swing ever further (2 time_step epsilon + "
                    "time_step^2 gamma must be below 4)"
                )
            return self

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around, maps=1)
        D = around.width
        bound = D**-0.5
        self.recurrent = nn.Parameter(torch.empty(D, 2 * D).uniform_(-bound, bound))  # W, U

    def advance(
        self, driven: Float[Tensor, "B M"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        y, z = state
        c = self.config
        force = torch.tanh(driven + recurred(torch.cat(state, dim=-1), self.recurrent))
        z = z + c.time_step * (force - c.gamma * y - c.epsilon * z)
        y = y + c.time_step * z
        return y, (y, z)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero places y and speeds z, in float32 at least."""
        return self.zeros(batch_size, self.width), self.zeros(batch_size, self.width)

    def flops_per_step(self, length: int) -> float:
        """Three square maps."""
        return 2.0 * 3 * self.width**2
