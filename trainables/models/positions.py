"""Position encodings: what tells a layer without order of its own which step is which."""

from __future__ import annotations

import math
from abc import ABC
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.layer import PartConfig, Rotation
from trainables.shapes import Stream


class Positions(nn.Module, ABC):
    """(B, T, D) -> (B, T, D), ahead of the blocks; or a rotation inside self-attention."""

    Config: ClassVar[type[PartConfig]]

    def __init__(self, config: Any, width: int) -> None:
        super().__init__()
        self.config, self.width = config, width

    def forward(self, x: Stream) -> Stream:
        """The stream with its positions; as it was, where they act inside attention."""
        return x

    @property
    def rotate(self) -> Rotation | None:
        """What self-attention does to its queries and keys; None for nothing."""
        return None


class NoPositions(Positions):
    """``none``: order is the layers' own affair."""

    class Config(PartConfig):
        """No position encoding."""

        kind: Literal["none"] = "none"


class Sinusoidal(Positions):
    """``sinusoidal``: adds sin(t / base**(2i/D)) and cos of it (Vaswani et al. 2017, 3.5)."""

    class Config(PartConfig):
        """Fixed waves added to the stream; ``base`` sets the longest."""

        kind: Literal["sinusoidal"] = "sinusoidal"
        base: float = Field(default=10_000.0, gt=1)

    def forward(self, x: Stream) -> Stream:
        """x_t + p_t, where p_t[2i] = sin(t w_i), p_t[2i+1] = cos(t w_i), w_i = base**(-2i/D)."""
        angle_TI = _angles(x.shape[1], self.width, self.config.base, x)
        p_TD = torch.stack((angle_TI.sin(), angle_TI.cos()), dim=-1).flatten(1)
        return x + p_TD[:, : self.width].to(x.dtype)


class Rope(Positions):
    """``rope``: rotates queries and keys by an angle that grows with t (Su et al. 2021, eq. 34).

    A query at t and a key at s then meet at an angle that depends on t - s alone.
    """

    class Config(PartConfig):
        """Rotary positions, for self-attention; ``base`` sets the slowest rotation."""

        kind: Literal["rope"] = "rope"
        base: float = Field(default=10_000.0, gt=1)

    @property
    def rotate(self) -> Rotation:
        """Rotates each pair of neighbouring coordinates (2i, 2i+1) by t * base**(-2i/E)."""
        base = self.config.base

        def rotated(x: Float[Tensor, "B H T E"]) -> Float[Tensor, "B H T E"]:
            angle_TI = _angles(x.shape[2], x.shape[3], base, x)
            cos, sin = angle_TI.cos().to(x.dtype), angle_TI.sin().to(x.dtype)
            even, odd = x[..., 0::2], x[..., 1::2]
            return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)

        return rotated


def _angles(length: int, width: int, base: float, like: Tensor) -> Float[Tensor, "T I"]:
    """t * base**(-2i/width) for each step t and pair i, in float32 or better."""
    precise = torch.promote_types(like.dtype, torch.float32)
    i = torch.arange(0, width, 2, device=like.device, dtype=precise)
    t = torch.arange(length, device=like.device, dtype=precise)
    return torch.outer(t, torch.exp(-math.log(base) * i / width))


POSITIONS: dict[str, type[Positions]] = {
    "none": NoPositions,
    "sinusoidal": Sinusoidal,
    "rope": Rope,
}
