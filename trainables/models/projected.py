"""Recurrences that meet the inputs in one map, which is taken for all steps before the loop."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.kernels.scan import precise
from trainables.models.layer import PartConfig, Recurrence, Surroundings
from trainables.shapes import Stream


class Projected(Recurrence):
    """Steps from V x_t + b, ``maps`` numbers a unit, and the state; in float32 at least."""

    def __init__(self, config: PartConfig, around: Surroundings, maps: int) -> None:
        super().__init__(config, around)
        self.enter = nn.Linear(around.width, maps * around.width)

    @abstractmethod
    def advance(
        self, driven: Float[Tensor, "B M"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step from what the input's map gave."""

    def answer(self, h: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """What is made of the steps' answers, all at once."""
        return h

    def scan(self, x: Stream, state: tuple[Tensor, ...]) -> tuple[Stream, tuple[Tensor, ...]]:
        """One map, then the loop."""
        answers = []
        for driven in self._driven(x.transpose(0, 1)).unbind():
            h, state = self.advance(driven, state)
            answers.append(h)
        return self.answer(torch.stack(answers, dim=1).to(x.dtype)), state

    def step(
        self, x: Float[Tensor, "B D"], state: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B D"], tuple[Tensor, ...]]:
        """One step of the equations above."""
        h, state = self.advance(self._driven(x), state)
        return self.answer(h.to(x.dtype)), state

    def zeros(self, batch_size: int, *shape: int) -> Tensor:
        """A state of zeros, (B, *shape)."""
        weight = self.enter.weight
        return weight.new_zeros(batch_size, *shape, dtype=precise(weight.dtype))

    def _driven(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N M"]:
        return self.enter(x).to(precise(self.enter.weight.dtype))


def recurred(h: Float[Tensor, "B D"], weight: Float[Tensor, "M D"]) -> Float[Tensor, "B M"]:
    """W h in the type of the state."""
    return h @ weight.to(h.dtype).mT
