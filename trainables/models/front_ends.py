"""Front ends: what turns the embedded input into the stream. (B, T, F) -> (B, T, D), causal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.layer import PartConfig
from trainables.shapes import Stream


class FrontEnd(nn.Module, ABC):
    """(B, T, F) -> (B, T, D); what comes out at step t depends on steps up to t alone."""

    Config: ClassVar[type[PartConfig]]

    def __init__(self, config: Any, features: int, width: int) -> None:
        super().__init__()
        self.config, self.features, self.width = config, features, width

    @abstractmethod
    def forward(self, x: Float[Tensor, "B T F"]) -> Stream:
        """The stream at every step."""

    @abstractmethod
    def flops_per_step(self) -> float:
        """Floating-point operations a step, forward."""


class Pointwise(FrontEnd):
    """``none``: each step by itself, through one linear map."""

    class Config(PartConfig):
        """No convolution."""

        kind: Literal["none"] = "none"

    def __init__(self, config: Config, features: int, width: int) -> None:
        super().__init__(config, features, width)
        self.map = nn.Linear(features, width)

    def forward(self, x: Float[Tensor, "B T F"]) -> Stream:
        """One linear map a step."""
        return self.map(x)

    def flops_per_step(self) -> float:
        """One multiply-add a weight."""
        return 2.0 * self.features * self.width


class Conv(FrontEnd):
    """``conv``: a causal convolution over the last ``kernel_width`` steps, then a ReLU.

    It shows the recurrence behind it a pattern of several steps as one input (LeCun et al. 1998).
    """

    class Config(PartConfig):
        """A causal convolution; ``kernel_width`` in steps."""

        kind: Literal["conv"] = "conv"
        kernel_width: int = Field(default=9, ge=2, le=1024)

    def __init__(self, config: Config, features: int, width: int) -> None:
        super().__init__(config, features, width)
        self.conv = nn.Conv1d(features, width, config.kernel_width)

    def forward(self, x: Float[Tensor, "B T F"]) -> Stream:
        """Pad on the left, convolve, rectify."""
        padded = nn.functional.pad(x.transpose(1, 2), (self.config.kernel_width - 1, 0))
        return torch.relu(self.conv(padded)).transpose(1, 2)

    def flops_per_step(self) -> float:
        """One multiply-add a weight."""
        return 2.0 * self.features * self.width * self.config.kernel_width


FRONT_ENDS: dict[str, type[FrontEnd]] = {"none": Pointwise, "conv": Conv}
