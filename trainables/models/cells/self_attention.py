"""``self_attention``: causal self-attention of several heads (Vaswani et al. 2017, 3.2)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from trainables.models.attention import causal_attention, late_attention, mean_span
from trainables.models.layer import Layer, PartConfig, Surroundings
from trainables.shapes import Stream


class HeadsConfig(PartConfig):
    """Heads of self-attention.

    Attributes:
        num_heads: H, which must divide the hidden size
        window: how many steps a step sees, itself among them; null for all of them

    """

    num_heads: int = Field(default=4, ge=1)
    window: int | None = Field(default=None, ge=1)


class SelfAttention(Layer):
    """softmax(Q K^T / sqrt(E)) V over the past, H heads of width E = D / H."""

    class Config(HeadsConfig):
        """Self-attention alone, without a feed-forward net."""

        kind: Literal["self_attention"] = "self_attention"

    attends = True

    def __init__(self, config: HeadsConfig, around: Surroundings) -> None:
        super().__init__(config, around)
        head_width, rest = divmod(around.width, config.num_heads)
        if rest:
            raise ValueError(
                f"num_heads: {config.num_heads} is not allowed; it must divide the hidden size "
                f"({around.width})"
            )
        if around.rotate is not None and head_width % 2:
            raise ValueError(
                f"num_heads: {config.num_heads} is not allowed; rope needs an even head width, "
                f"and {around.width} / {config.num_heads} is {head_width}"
            )
        self.rotate = around.rotate
        self.slopes = None if around.slopes is None else around.slopes(config.num_heads)
        self.qkv = nn.Linear(around.width, 3 * around.width)
        self.out = nn.Linear(around.width, around.width)

    def forward(self, x: Stream) -> Stream:
        """Attend to the past and to the step itself."""
        B, T, D = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.config.num_heads, -1)
        q_BHTE, k_BHTE, v_BHTE = qkv.permute(2, 0, 3, 1, 4)
        if self.rotate is not None:
            q_BHTE, k_BHTE = self.rotate(q_BHTE), self.rotate(k_BHTE)
        y_BHTE = causal_attention(q_BHTE, k_BHTE, v_BHTE, self.slopes, self.config.window)
        return self.out(y_BHTE.transpose(1, 2).reshape(B, T, D))

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The cache: keys, not rotated yet, and values (B, H, S, E), of no steps."""
        H = self.config.num_heads
        none = self.out.weight.new_zeros(batch_size, H, 0, self.width // H)
        return none, none

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Attend to the cache and to the piece; the cache grows, up to the window.

        Scores depend on distances alone, so positions are counted from the cache's first step.
        """
        B, T, D = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.config.num_heads, -1)
        q_BHTE, *new = qkv.permute(2, 0, 3, 1, 4)
        k_BHSE, v_BHSE = (
            torch.cat((kept, piece), dim=2) for kept, piece in zip(state, new, strict=True)
        )
        keys = k_BHSE
        if self.rotate is not None:
            before = k_BHSE.shape[2] - T
            q_BHTE = self.rotate(pad(q_BHTE, (0, 0, before, 0)))[:, :, before:]
            keys = self.rotate(keys)
        y_BHTE = late_attention(q_BHTE, keys, v_BHSE, self.slopes, self.config.window)
        window = self.config.window
        past = 0 if window is None else max(0, k_BHSE.shape[2] - (window - 1))
        carried = k_BHSE[:, :, past:], v_BHSE[:, :, past:]
        return self.out(y_BHTE.transpose(1, 2).reshape(B, T, D)), carried

    def flops_per_step(self, length: int) -> float:
        """Four square maps; a score and a value for each step seen."""
        seen = mean_span(length, self.config.window)
        return 2.0 * (4 * self.width**2 + 2 * seen * self.width)

    def state_bytes(self, length: int) -> int:
        """Keys and values of the steps that the next one may see."""
        window = self.config.window
        kept = length if window is None else min(length, window - 1)
        return 4 * 2 * kept * self.width
