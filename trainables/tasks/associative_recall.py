"""``associative_recall``: pairs of key and value, and after a gap every key again.

k_1 v_1 .. k_n v_n  blank^{lag-1}  k_p(1) .. k_p(n)  ->  v_p(1) .. v_p(n), p a random order

Multi-query associative recall (MQAR, Arora et al. 2023).
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator

from trainables.tasks.distinct import distinct
from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, ProtocolConfig, Symbols, Task

BLANK = 0

POWER = 0.01
"""Of the paper's law of gaps, the generator's `power_a`."""


class AssociativeRecall(Task):
    """``pairs`` answers a sequence, each at least ``lag`` steps after its value.

    T = lag + 3 pairs - 1. As in the paper, the keys of a sequence differ and each is asked for
    once. Unlike there, the filler is never a key, values are drawn independently (so that none is
    known by elimination), and no query comes early. Symbols: 0 blank, 1 .. vocabulary/2 - 1 keys,
    from vocabulary/2 values; answers are classes 0 .. vocabulary/2 - 1. Chance: 2 / vocabulary an
    answer.

    ``protocol: paper``, as its generator draws: T = 2 lag; values differ; the gaps between the
    pairs and the queries follow a power law, most of them short; every other step shows any symbol.
    """

    class Config(ProtocolConfig):
        """The paper's ``vocabulary`` is 8192, with 4 ``pairs`` at T = 64 up to 256 at 1024."""

        kind: Literal["associative_recall"] = "associative_recall"
        pairs: int = Field(default=4, ge=1, le=10_000)
        vocabulary: int = Field(default=8192, ge=4, le=100_000, multiple_of=2)

        @property
        def keys(self) -> int:
            """How many keys there are."""
            return self.vocabulary // 2 - 1

        @model_validator(mode="after")
        def _enough_keys(self) -> Self:
            if self.pairs > self.keys:
                raise ValueError(
                    f"pairs: {self.pairs} is not allowed; "
                    f"a vocabulary of {self.vocabulary} has {self.keys} keys"
                )
            return self

    has_gap = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.first_value = 1 + config.keys
        self.inputs = Symbols(config.vocabulary)
        self.answer = ClassAnswer(self.first_value)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return ("blank", *(f"key {n}" for n in range(1, self.first_value)), *self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(f"value {n}" for n in range(1, self.first_value + 1))

    @property
    def shortest_lag(self) -> int:
        """The paper's generator leaves as many steps for the queries as the pairs take."""
        return 1 if self.promises_lag else 2 * self.config.pairs

    def length(self, lag: int) -> int:
        return lag + 3 * self.config.pairs - 1 if self.promises_lag else 2 * lag

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        if not self.promises_lag:
            return self._paper(lag, batch_size, generator)
        pairs, steps = self.config.pairs, self.length(lag)
        keys = 1 + distinct(batch_size, pairs, self.config.keys, generator)
        values = torch.randint(self.first_value, (batch_size, pairs), generator=generator)
        asked = distinct(batch_size, pairs, pairs, generator)
        inputs = torch.full((batch_size, steps), BLANK, dtype=SYMBOL)
        inputs[:, 0 : 2 * pairs : 2] = keys
        inputs[:, 1 : 2 * pairs : 2] = self.first_value + values
        inputs[:, -pairs:] = keys.gather(1, asked)
        scored = torch.arange(steps - pairs, steps).repeat(batch_size, 1)
        return Batch(inputs, values.gather(1, asked), scored)

    def _paper(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        pairs, steps = self.config.pairs, self.length(lag)
        keys = 1 + distinct(batch_size, pairs, self.config.keys, generator)
        values = distinct(batch_size, pairs, self.first_value, generator)
        room = lag - pairs
        weights = POWER * torch.arange(1, room + 1).double() ** (POWER - 1)
        gaps = weights.expand(batch_size, -1).multinomial(pairs, generator=generator)
        inputs = torch.full((batch_size, steps), BLANK, dtype=SYMBOL)
        inputs[:, 0 : 2 * pairs : 2] = keys
        inputs[:, 1 : 2 * pairs : 2] = self.first_value + values
        queries = 2 * pairs + 2 * gaps
        inputs.scatter_(1, queries, keys.to(SYMBOL))
        anything = torch.randint(
            self.config.vocabulary, inputs.shape, generator=generator, dtype=SYMBOL
        )
        inputs = torch.where(inputs == BLANK, anything, inputs)
        scored, order = queries.sort()
        return Batch(inputs, values.gather(1, order), scored)
