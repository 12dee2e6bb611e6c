"""Position encodings: what tells a layer without order of its own which step is which."""

from __future__ import annotations

import math
from abc import ABC
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.layer import Fading, PartConfig, Rotation, Slopes, Surroundings
from trainables.shapes import Stream


class Positions(nn.Module, ABC):
    """(B, T, D) -> (B, T, D), ahead of the blocks; or something inside self-attention."""

    Config: ClassVar[type[PartConfig]]
    in_attention: ClassVar[bool] = False
    """Whether they act inside self-attention alone, so that a model needs some."""

    def __init__(self, config: Any, width: int) -> None:
        super().__init__()
        self.config, self.width = config, width

    def forward(self, x: Stream, start: int = 0) -> Stream:
        """The stream with its positions, the first of them ``start``.

        As it was, where they act inside attention.
        """
        return x

    @property
    def rotate(self) -> Rotation | None:
        """What self-attention does to its queries and keys; None for nothing."""
        return None

    @property
    def slopes(self) -> Slopes | None:
        """What each head of self-attention takes off for distance; None for nothing."""
        return None

    @property
    def fading(self) -> Fading | None:
        """By what scores of self-attention fade with distance; None for nothing."""
        return None

    @property
    def around_layers(self) -> Surroundings:
        """What a layer is told of them."""
        return Surroundings(self.width, self.rotate, self.slopes, self.fading)

    @property
    def longest(self) -> int | None:
        """The most steps it can number; None for any."""
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

    def forward(self, x: Stream, start: int = 0) -> Stream:
        """x_t + p_t, where p_t[2i] = sin(t w_i), p_t[2i+1] = cos(t w_i), w_i = base**(-2i/D)."""
        angle_TI = _angles(x.shape[1], self.width, self.config.base, x, start)
        p_TD = torch.stack((angle_TI.sin(), angle_TI.cos()), dim=-1).flatten(1)
        return x + p_TD[:, : self.width].to(x.dtype)


class Learned(Positions):
    """``learned``: adds a vector of its own for every step (Gehring et al. 2017, 3.1)."""

    class Config(PartConfig):
        """A table of ``max_length`` steps; longer sequences are refused."""

        kind: Literal["learned"] = "learned"
        max_length: int = Field(default=8192, ge=1, le=1_048_576)

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(config, width)
        self.table = nn.Parameter(torch.empty(config.max_length, width).normal_(std=0.02))

    def forward(self, x: Stream, start: int = 0) -> Stream:
        """x_t + p_t.

        Raises:
            ValueError: if the sequence is longer than the table.

        """
        length = start + x.shape[1]
        if length > self.config.max_length:
            raise ValueError(
                f"positions.max_length: {self.config.max_length} is not allowed; the sequence has "
                f"{length} steps"
            )
        return x + self.table[start:length]

    @property
    def longest(self) -> int:
        """The length of the table."""
        return self.config.max_length


class Rope(Positions):
    """``rope``: rotates queries and keys by an angle that grows with t (Su et al. 2021, eq. 34).

    A query at t and a key at s then meet at an angle that depends on t - s alone.
    """

    class Config(PartConfig):
        """Rotary positions, for self-attention; ``base`` sets the slowest rotation."""

        kind: Literal["rope"] = "rope"
        base: float = Field(default=10_000.0, gt=1)

    in_attention = True

    @property
    def rotate(self) -> Rotation:
        """Rotates each pair of neighbouring coordinates (2i, 2i+1) by t * base**(-2i/E)."""
        return partial(_rotated, base=self.config.base)


class Xpos(Rope):
    """``xpos``: turns as ``rope`` does, and lets what turns fast fade with distance.

    Pair i of a query at t and a key at s counts zeta_i**((t - s) / fading_steps) of what it would,
    zeta_i = (2i / E + 0.4) / 1.4 (Sun et al. 2022, arXiv 2212.10554).
    """

    class Config(PartConfig):
        """Rotary positions that fade, for self-attention.

        Attributes:
            base: sets the slowest rotation
            fading_steps: the distance at which zeta_i is left of pair i, the paper's scale base

        """

        kind: Literal["xpos"] = "xpos"
        base: float = Field(default=10_000.0, gt=1)
        fading_steps: float = Field(default=512.0, ge=16)

    @property
    def fading(self) -> Fading:
        """log zeta_i / fading_steps, twice, for both coordinates of a pair."""
        return partial(_faded, fading_steps=self.config.fading_steps)


class Alibi(Positions):
    """``alibi``: takes m_h (t - s) off the score of step s at step t (Press et al. 2022)."""

    class Config(PartConfig):
        """A penalty on distance inside self-attention, steeper in some heads than in others."""

        kind: Literal["alibi"] = "alibi"

    in_attention = True

    @property
    def slopes(self) -> Slopes:
        """The paper's slopes."""
        return alibi_slopes


def alibi_slopes(num_heads: int) -> tuple[float, ...]:
    """2**(-8/H), 2**(-16/H), ..., 2**-8 for a power of two H.

    For other H the paper's code takes those of the power of two below, and fills up with every
    other one of the power of two above.
    """
    below = 1 << (num_heads.bit_length() - 1)
    slopes = [2 ** (-8 * (h + 1) / below) for h in range(below)]
    between = [2 ** (-8 * (h + 1) / (2 * below)) for h in range(0, 2 * below, 2)]
    return tuple(slopes + between[: num_heads - below])


def _rotated(x: Float[Tensor, "B H T E"], base: float) -> Float[Tensor, "B H T E"]:
    """Each pair (x[2i], x[2i+1]) turned by t * base**(-2i/E)."""
    angle_TI = _angles(x.shape[2], x.shape[3], base, x)
    cos, sin = angle_TI.cos().to(x.dtype), angle_TI.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def _faded(head_width: int, fading_steps: float) -> tuple[float, ...]:
    """The logarithm of what a step leaves of each coordinate's part of a score."""
    shares = [(2 * (e // 2) / head_width + 0.4) / 1.4 for e in range(head_width)]
    return tuple(math.log(share) / fading_steps for share in shares)


def _angles(
    length: int, width: int, base: float, like: Tensor, start: int = 0
) -> Float[Tensor, "T I"]:
    """The angle t * base**(-2i/width) of each step t and pair i, in float32 or better."""
    precise = torch.promote_types(like.dtype, torch.float32)
    i = torch.arange(0, width, 2, device=like.device, dtype=precise)
    t = torch.arange(start, start + length, device=like.device, dtype=precise)
    return torch.outer(t, torch.exp(-math.log(base) * i / width))


POSITIONS: dict[str, type[Positions]] = {
    "none": NoPositions,
    "sinusoidal": Sinusoidal,
    "learned": Learned,
    "rope": Rope,
    "alibi": Alibi,
    "xpos": Xpos,
}
