"""``dilated_lstm``: LSTMs one above the other, each slower than the one below (Chang et al. 2017).

Level l carries its state from step t - d^l to step t: a lag is crossed in d^l times fewer ticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from trainables.models.cells.lstm import Lstm
from trainables.models.first_weights import Constant, ForgetBiasConfig, RecurrentWeights
from trainables.models.layer import Layer, PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream


class DilatedLevel(Recurrence):
    """An LSTM whose state skips: (h, c)_t = lstm(x_t, (h, c)_{t - dilation})."""

    def __init__(self, config: DilatedLstm.Config, around: Surroundings, dilation: int) -> None:
        super().__init__(config, around)
        self.dilation = dilation
        same = Lstm.Config(
            forget_bias=config.forget_bias, recurrent_weights=config.recurrent_weights
        )
        self.lstm = Lstm(same, around)

    def forward(self, x: Stream) -> Stream:
        """The interleaved sequences side by side in the batch, so that all tick at once."""
        B, T, _ = x.shape
        padded = nn.functional.pad(x, (0, 0, 0, -T % self.dilation))
        ticks = padded.unflatten(1, (-1, self.dilation)).transpose(1, 2)
        y = self.lstm(ticks.flatten(0, 1)).unflatten(0, (B, self.dilation))
        return y.transpose(1, 2).flatten(1, 2)[:, :T]

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The zero states (h, c) of the last ``dilation`` steps, the oldest first."""
        h, c = self.lstm.initial_state(batch_size * self.dilation)
        return tuple(part.view(batch_size, self.dilation, self.width) for part in (h, c))

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One tick of the sequence whose turn it is."""
        y, ticked = self.lstm.step(x, tuple(part[:, 0] for part in state))
        return y, tuple(
            torch.cat([part[:, 1:], new[:, None]], dim=1)
            for part, new in zip(state, ticked, strict=True)
        )

    def flops_per_step(self, length: int) -> float:
        """Those of the LSTM."""
        return self.lstm.flops_per_step(length)


class DilatedLstm(Recurrence):
    """Levels of dilation 1, d, d^2, ...; in a model each has a residual path of its own."""

    class Config(PartConfig):
        """A hierarchy of LSTMs.

        Attributes:
            dilation: d, how many times slower each level is than the one below
            levels: how many there are
            forget_bias: as in ``lstm``; a ``longest_lag`` counts the ticks of each level
            recurrent_weights: as in ``lstm``

        """

        kind: Literal["dilated_lstm"] = "dilated_lstm"
        dilation: int = Field(default=2, ge=2, le=64)
        levels: int = Field(default=3, ge=1, le=12)
        forget_bias: ForgetBiasConfig = Constant.Config()
        recurrent_weights: RecurrentWeights = "uniform"

    @classmethod
    def parts(cls, config: Config, around: Surroundings) -> Sequence[Layer]:
        """The levels, from the fastest to the slowest."""
        return cls._levels(config, around)

    @staticmethod
    def _levels(config: Config, around: Surroundings) -> list[DilatedLevel]:
        return [
            DilatedLevel(config, around, config.dilation**level) for level in range(config.levels)
        ]

    def __init__(self, config: Config, around: Surroundings) -> None:
        super().__init__(config, around)
        self.levels = nn.ModuleList(self._levels(config, around))

    def forward(self, x: Stream) -> Stream:
        """One level after the other, without residual paths."""
        for level in self.levels:
            x = level(x)
        return x

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The states of all levels in turn, two tensors each."""
        return tuple(part for level in self._each() for part in level.initial_state(batch_size))

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of every level."""
        following: list[Tensor] = []
        for level, h, c in zip(self._each(), state[::2], state[1::2], strict=True):
            x, new = level.step(x, (h, c))
            following.extend(new)
        return x, tuple(following)

    def _each(self) -> list[DilatedLevel]:
        return [level for level in self.levels if isinstance(level, DilatedLevel)]

    def flops_per_step(self, length: int) -> float:
        """Those of the levels."""
        return sum(level.flops_per_step(length) for level in self._each())
