"""``induction``: what followed the special symbol when it was first seen.

n .. n ! s n .. n !  ->  s, with n any of the ordinary symbols

Induction heads (Olsson et al. 2022), as in Gu & Dao (2023): a vocabulary of 16, trained at
T = 256, which is lag 128.
"""

from __future__ import annotations

from copy import copy
from typing import Literal, Self

import torch
from pydantic import Field

from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, ProtocolConfig, Split, Symbols, Task

SPECIAL = 0

TRAINED_AT = 128
"""The lag at which T is the paper's 256."""


class Induction(Task):
    """One answer a sequence, at least ``lag`` steps after the symbol asked for; T = 2 lag.

    The special symbol lies at a random step of 0 .. lag - 2 and at the last. Symbols: 0
    the special one, 1 .. vocabulary - 1 the ordinary ones; answers are classes
    0 .. vocabulary - 2. Chance: 1 / (vocabulary - 1).

    ``protocol: paper``: the special symbol lies anywhere before the last two steps, and whatever
    the lag, the sequences to train on have T = 256: longer ones, and shorter, are extrapolation.
    """

    class Config(ProtocolConfig):
        """The ``vocabulary`` counts the special symbol."""

        kind: Literal["induction"] = "induction"
        vocabulary: int = Field(default=16, ge=3, le=100_000)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._drawn_lag: int | None = None
        self.inputs = Symbols(config.vocabulary)
        self.answer = ClassAnswer(config.vocabulary - 1)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return ("special", *self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(f"symbol {n}" for n in range(1, self.config.vocabulary))

    @property
    def shortest_lag(self) -> int:
        """Room for the special symbol and the one after it."""
        return 2

    def length(self, lag: int) -> int:
        """The papers' T."""
        return 2 * lag

    def split(self, name: Split) -> Self:
        if self.promises_lag or name != "train":
            return self
        train = copy(self)
        train._drawn_lag = TRAINED_AT
        return train

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        lag = self._drawn_lag or lag
        steps, vocabulary = self.length(lag), self.config.vocabulary
        shape = (batch_size, steps)
        inputs = torch.randint(1, vocabulary, shape, generator=generator, dtype=SYMBOL)
        room = lag - 1 if self.promises_lag else steps - 2
        special = torch.randint(room, (batch_size, 1), generator=generator)
        inputs.scatter_(1, special, SPECIAL)
        inputs[:, -1] = SPECIAL
        targets = inputs.gather(1, special + 1).long() - 1
        return Batch(inputs, targets, torch.full((batch_size, 1), steps - 1))
