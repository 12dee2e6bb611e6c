"""``transformer``: causal self-attention, then a feed-forward net (Vaswani et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from trainables.models.layer import Layer, PartConfig, Site
from trainables.shapes import Stream


class SelfAttention(Layer):
    """softmax(Q K^T / sqrt(E)) V over the past, H heads of width E = D / H.

    `torch.nn.functional.scaled_dot_product_attention` with its own causal mask, so that no T x T
    matrix is held.
    """

    def __init__(self, config: Transformer.Config, site: Site) -> None:
        super().__init__(config, site)
        if site.width % config.num_heads:
            raise ValueError(
                f"num_heads: {config.num_heads} is not allowed; it must divide the hidden size "
                f"({site.width})"
            )
        if site.rotate is not None and (site.width // config.num_heads) % 2:
            raise ValueError(
                f"positions: rope needs an even head width, not {site.width // config.num_heads}"
            )
        self.rotate = site.rotate
        self.qkv = nn.Linear(site.width, 3 * site.width)
        self.out = nn.Linear(site.width, site.width)

    def forward(self, x: Stream) -> Stream:
        """Attend to the past and to the step itself."""
        B, T, D = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.config.num_heads, -1)
        q_BHTE, k_BHTE, v_BHTE = qkv.permute(2, 0, 3, 1, 4)
        if self.rotate is not None:
            q_BHTE, k_BHTE = self.rotate(q_BHTE), self.rotate(k_BHTE)
        y_BHTE = nn.functional.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, is_causal=True)
        return self.out(y_BHTE.transpose(1, 2).reshape(B, T, D))

    def flops_per_step(self, length: int) -> float:
        """Four square maps, and scores and values over half the sequence on average."""
        return 2.0 * (4 * self.width**2 + length * self.width)

    def state_bytes(self, length: int) -> int:
        """Keys and values of the whole past."""
        return 4 * 2 * length * self.width


class FeedForward(Layer):
    """W_2 gelu(W_1 x), four times as wide inside."""

    def __init__(self, config: Transformer.Config, site: Site) -> None:
        super().__init__(config, site)
        self.widen = nn.Linear(site.width, 4 * site.width)
        self.narrow = nn.Linear(4 * site.width, site.width)

    def forward(self, x: Stream) -> Stream:
        """Each step by itself."""
        return self.narrow(torch.nn.functional.gelu(self.widen(x)))

    def flops_per_step(self, length: int) -> float:
        """Two maps of D x 4 D."""
        return 2.0 * 8 * self.width**2

    def state_bytes(self, length: int) -> int:
        """Nothing is carried."""
        return 0


class Transformer(Layer):
    """One block: self-attention and feed-forward, each with a residual path of its own."""

    class Config(PartConfig):
        """``num_heads`` must divide the hidden size."""

        kind: Literal["transformer"] = "transformer"
        num_heads: int = Field(default=4, ge=1)

    @classmethod
    def parts(cls, config: Config, site: Site) -> Sequence[Layer]:
        """The two layers of a block."""
        return [SelfAttention(config, site), FeedForward(config, site)]

    def __init__(self, config: Config, site: Site) -> None:
        super().__init__(config, site)
        self.layers = nn.ModuleList(self.parts(config, site))

    def forward(self, x: Stream) -> Stream:
        """One layer after the other, without residual paths."""
        for layer in self.layers:
            x = layer(x)
        return x
