"""``parity``: whether the number of ones is odd.

b_0 b_1 .. b_lag  ->  (b_0 + b_1 + .. + b_lag) mod 2

State kept and changed over the whole lag (Minsky & Papert 1969; Hochreiter & Schmidhuber 1997;
Delétang et al. 2023).
"""

from __future__ import annotations

from typing import Literal

import torch

from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, Symbols, Task, TaskConfig


class Parity(Task):
    """One answer a sequence, which needs every bit: the first is ``lag`` steps back; T = lag + 1.

    Symbols 0 and 1; classes 0 even, 1 odd. Chance: 1 / 2.
    """

    class Config(TaskConfig):
        """Nothing to choose."""

        kind: Literal["parity"] = "parity"

    inputs = Symbols(2)
    answer = ClassAnswer(2)

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return ("0", "1")

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("even", "odd")

    def length(self, lag: int) -> int:
        return lag + 1

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        shape = (batch_size, self.length(lag))
        inputs = torch.randint(2, shape, generator=generator, dtype=SYMBOL)
        return Batch(inputs, inputs.sum(1, keepdim=True) % 2, torch.full((batch_size, 1), lag))
