"""First weights of recurrent cells: how long they remember, how the recurrent matrix turns."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from jaxtyping import Float
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor, nn

from trainables.models.layer import PartConfig
from trainables.parts import OneOf

RecurrentWeights = Literal["uniform", "orthogonal"]
"""First recurrent matrices: torch's own small uniform ones, or orthogonal (Saxe et al. 2014)."""


class ForgetBias(ABC):
    """The first bias b of a gate that keeps a share sigmoid(b) of the state at every step."""

    Config: ClassVar[type[PartConfig]]
    opposes_input: ClassVar[bool] = False
    """Whether a separate input gate starts with -b, so that what is kept is not written over."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def draw(self, width: int) -> Float[Tensor, " D"]:
        """A bias for each unit."""


class Constant(ForgetBias):
    """``constant``: the same for all units (Gers et al. 2000; Jozefowicz et al. 2015)."""

    class Config(PartConfig):
        """``value``: 0 forgets half a step, 5 less than a hundredth."""

        kind: Literal["constant"] = "constant"
        value: float = Field(default=1.0, ge=-10, le=20)

    def draw(self, width: int) -> Float[Tensor, " D"]:
        return torch.full((width,), self.config.value)


class Chrono(ForgetBias):
    """``chrono``: b ~ log U(1, T - 1), -b in the input gate (Tallec & Ollivier 2018).

    A unit then forgets in about e^b steps, and the units cover all times up to T.
    """

    class Config(PartConfig):
        """``longest_lag`` is T: the longest dependency expected, in steps of the cell."""

        kind: Literal["chrono"] = "chrono"
        longest_lag: int = Field(default=1024, ge=2)

    opposes_input = True

    def draw(self, width: int) -> Float[Tensor, " D"]:
        return torch.empty(width).uniform_(1, max(self.config.longest_lag - 1, 1)).log_()


class Uniform(ForgetBias):
    """``uniform``: sigmoid(b) ~ U(1/D, 1 - 1/D) over D units (Gu et al. 2020, 3.2).

    A unit forgets in about 1 / (1 - sigmoid(b)) steps: times up to D, as 1 / time^2, without a
    lag that must be known.
    """

    class Config(PartConfig):
        """Nothing is to be chosen."""

        kind: Literal["uniform"] = "uniform"

    opposes_input = True

    def draw(self, width: int) -> Float[Tensor, " D"]:
        least = min(1 / width, 0.5)
        return torch.logit(torch.empty(width).uniform_(least, 1 - least))


FORGET_BIASES: dict[str, type[ForgetBias]] = {
    "constant": Constant,
    "chrono": Chrono,
    "uniform": Uniform,
}


def _number_is_constant(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"kind": "constant", "value": value}
    return value


ForgetBiasConfig = Annotated[PartConfig, OneOf(FORGET_BIASES), BeforeValidator(_number_is_constant)]
"""A kind of first forget bias; a plain number is short for ``constant`` with that value."""


def forget_bias(config: PartConfig) -> ForgetBias:
    """The kind that ``config`` names."""
    return FORGET_BIASES[config.kind](config)


def start_recurrent_(weight: Float[Tensor, "G D"], kind: RecurrentWeights) -> None:
    """Fill a recurrent matrix in place; stacked gates each get a square one of their own."""
    if kind == "orthogonal":
        with torch.no_grad():
            for gate in weight.split(weight.shape[1]):
                nn.init.orthogonal_(gate)


class TimescaleConfig(PartConfig):
    """A cell of continuous time: each step lasts dt, and a unit of rate 1 forgets in 1 / dt steps.

    Attributes:
        dt_min: shortest dt at the start; about 1 / dt_min steps are remembered
        dt_max: longest

    """

    dt_min: float = Field(default=0.001, gt=0, le=1)
    dt_max: float = Field(default=0.1, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.dt_min > self.dt_max:
            raise ValueError(f"dt_min: {self.dt_min} must not be above dt_max ({self.dt_max})")
        return self

    def draw_log_dt(self, count: int) -> Float[Tensor, " D"]:
        """Logarithms of first dt, even between those of ``dt_min`` and ``dt_max``."""
        return torch.empty(count).uniform_(math.log(self.dt_min), math.log(self.dt_max))


def inverse_softplus(y: Tensor) -> Tensor:
    """X with log(1 + e^x) = y > 0."""
    return y + torch.log(-torch.expm1(-y))
