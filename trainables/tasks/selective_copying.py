"""``selective_copying``: symbols strewn among noise, to be repeated in their order.

0 0 s_1 0 s_2 0 0 .. s_n 0 0 .. 0  marker^n  ->  s_1 .. s_n over the last n steps

Gu & Dao (2023), after Jing et al. (2019): 16 symbols, a vocabulary of 16, 4096 steps.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from trainables.tasks.distinct import distinct
from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, ProtocolConfig, Symbols, Task

NOISE, MARKER = 0, 1


class SelectiveCopying(Task):
    """``symbols`` answers a sequence, each at least ``lag`` steps after its symbol; T = 2 lag.

    The symbols lie at random places of the first ``lag`` steps, so that the i-th is between
    ``lag`` and 2 lag - symbols steps older than its answer. ``protocol: paper`` strews them over
    all the steps before the markers, and each may be as near as ``symbols`` steps.
    Symbols: 0 noise, 1 marker, 2 .. vocabulary - 1 those to copy; answers are classes
    0 .. vocabulary - 3.
    Chance: 1 / (vocabulary - 2) an answer.
    """

    class Config(ProtocolConfig):
        """``symbols`` to copy; the ``vocabulary`` counts noise and marker."""

        kind: Literal["selective_copying"] = "selective_copying"
        symbols: int = Field(default=16, ge=1, le=10_000)
        vocabulary: int = Field(default=16, ge=4, le=100_000)

    has_gap = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.inputs = Symbols(config.vocabulary)
        self.answer = ClassAnswer(config.vocabulary - 2)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return ("noise", "marker", *self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(f"symbol {n}" for n in range(1, self.answer.outputs + 1))

    @property
    def shortest_lag(self) -> int:
        """Room for all the symbols: then there is no noise among them."""
        return self.config.symbols

    def length(self, lag: int) -> int:
        """The papers' T."""
        return 2 * lag

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        symbols, steps = self.config.symbols, self.length(lag)
        shape = (batch_size, symbols)
        targets = torch.randint(self.answer.outputs, shape, generator=generator)
        room = lag if self.promises_lag else steps - symbols
        places = distinct(batch_size, symbols, room, generator).sort().values
        inputs = torch.full((batch_size, steps), NOISE, dtype=SYMBOL)
        inputs.scatter_(1, places, (2 + targets).to(SYMBOL))
        inputs[:, -symbols:] = MARKER
        scored = torch.arange(steps - symbols, steps).repeat(batch_size, 1)
        return Batch(inputs, targets, scored)
