"""``transformer``: causal self-attention, then a feed-forward net (Vaswani et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import gelu

from trainables.models.cells.self_attention import HeadsConfig, SelfAttention
from trainables.models.layer import Layer, Surroundings
from trainables.shapes import Stream


class FeedForward(Layer):
    """W_2 gelu(W_1 x), four times as wide inside."""

    def __init__(self, config: Transformer.Config, around: Surroundings) -> None:
        super().__init__(config, around)
        self.widen = nn.Linear(around.width, 4 * around.width)
        self.narrow = nn.Linear(4 * around.width, around.width)

    @property
    def plain_maps(self) -> Sequence[nn.Linear]:
        """Both."""
        return self.widen, self.narrow

    def forward(self, x: Stream) -> Stream:
        """Each step by itself."""
        return self.narrow(gelu(self.widen(x)))

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Nothing."""
        return ()

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Each step by itself."""
        return self(x), ()

    def flops_per_step(self, length: int) -> float:
        """Two maps of D x 4 D."""
        return 2.0 * 8 * self.width**2

    def state_bytes(self, length: int) -> int:
        """Nothing is carried."""
        return 0


class Transformer(Layer):
    """One block: self-attention and feed-forward, each with a residual path of its own."""

    class Config(HeadsConfig):
        """Self-attention and a feed-forward net."""

        kind: Literal["transformer"] = "transformer"

    attends = True

    @classmethod
    def parts(cls, config: Config, around: Surroundings) -> Sequence[Layer]:
        """The two layers of a block."""
        return [SelfAttention(config, around), FeedForward(config, around)]

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        self.attention, self.feed_forward = self.parts(config, around)

    def forward(self, x: Stream) -> Stream:
        """One layer after the other, without residual paths."""
        return self.feed_forward(self.attention(x))

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The attention's cache."""
        return self.attention.initial_state(batch_size)

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """Through the attention's cache."""
        x, state = self.attention.scan(x, state)
        return self.feed_forward(x), state

    def flops_per_step(self, length: int) -> float:
        """Those of the two layers."""
        return self.attention.flops_per_step(length) + self.feed_forward.flops_per_step(length)

    def state_bytes(self, length: int) -> int:
        """What attention keeps."""
        return self.attention.state_bytes(length)
