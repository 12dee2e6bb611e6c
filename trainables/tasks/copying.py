"""``copying``: the copy-memory problem: ten symbols, a gap, then the ten symbols again.

s_1 .. s_n  blank^{gap-1}  marker  blank^n  ->  s_1 .. s_n over the last n steps

Hochreiter & Schmidhuber (1997), in the form of Arjovsky et al. (2016): n = 10 symbols of an
alphabet of 8, and a sequence of gap + 20 steps, where the gap is what the papers call T.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, ProtocolConfig, Symbols, Task

BLANK, MARKER = 0, 1


class Copying(Task):
    """``symbols`` answers a sequence, each exactly ``lag`` steps after its symbol.

    T = lag + symbols. The i-th symbol is shown at step i and asked for at step gap + symbols + i,
    so every lag is gap + symbols: the papers' T = 1000 is lag 1010, T = 2000 lag 2010.
    Symbols: 0 blank, 1 marker, 2 .. alphabet + 1 those to copy; answers are classes
    0 .. alphabet - 1. Chance: 1 / alphabet an answer, and knowing nothing costs ln 8.

    ``protocol: paper``: an answer at every step, the blank (class 0) up to the marker, which
    makes the symbols classes 1 .. alphabet; knowing nothing costs 10 ln 8 / (T + 20).
    """

    class Config(ProtocolConfig):
        """``symbols`` to copy, each from an ``alphabet``; ``paper`` scores the blanks too."""

        kind: Literal["copying"] = "copying"
        symbols: int = Field(default=10, ge=1, le=10_000)
        alphabet: int = Field(default=8, ge=2, le=100_000)

    has_gap = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.inputs = Symbols(2 + config.alphabet)
        self.answer = ClassAnswer(config.alphabet + (0 if self.promises_lag else 1))

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return ("blank", "marker", *self._copied)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._copied if self.promises_lag else ("blank", *self._copied)

    @property
    def _copied(self) -> tuple[str, ...]:
        return tuple(f"symbol {n}" for n in range(1, self.config.alphabet + 1))

    @property
    def shortest_lag(self) -> int:
        """A gap of one step, which the marker takes."""
        return self.config.symbols + 1

    def source_length(self, lag: int) -> int:
        """The gap that the papers call T."""
        return lag - self.config.symbols

    def length(self, lag: int) -> int:
        return lag + self.config.symbols

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        symbols = self.config.symbols
        shape = (batch_size, symbols)
        targets = torch.randint(self.config.alphabet, shape, generator=generator)
        inputs = torch.full((batch_size, self.length(lag)), BLANK, dtype=SYMBOL)
        inputs[:, :symbols] = 2 + targets
        inputs[:, lag - 1] = MARKER
        if not self.promises_lag:
            blanks = torch.zeros(batch_size, lag, dtype=torch.int64)
            steps = torch.arange(lag + symbols).repeat(batch_size, 1)
            return Batch(inputs, torch.cat((blanks, 1 + targets), dim=1), steps)
        scored = torch.arange(lag, lag + symbols).repeat(batch_size, 1)
        return Batch(inputs, targets, scored)
