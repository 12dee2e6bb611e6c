"""``recall``: the first symbol is asked for at the last step, after distractors.

c d_1 d_2 ... d_{lag-1} ?  ->  c

The latch problem of Bengio et al. (1994) and Hochreiter & Schmidhuber (1997, experiment 2), with
symbols and an end that asks.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, Symbols, Task, TaskConfig

QUERY = 0


class Recall(Task):
    """One answer a sequence, exactly ``lag`` steps after its symbol; T = lag + 1.

    Symbols: 0 the query, 1 .. alphabet the cues, and, if disjoint, alphabet + 1 .. 2 alphabet the
    distractors. Answers are classes 0 .. alphabet - 1. Chance: 1 / alphabet.
    """

    class Config(TaskConfig):
        """``distractors``: of an alphabet of their own, or the same as the cue's.

        If disjoint, the cue is known by what it is; if the same, only by being first.
        """

        kind: Literal["recall"] = "recall"
        alphabet: int = Field(default=8, ge=2, le=100_000)
        distractors: Literal["disjoint", "same"] = "disjoint"

    has_gap = True

    def __init__(self, config: Config) -> None:
        self.config = config
        self.alphabet = config.alphabet
        self.first_distractor = 1 + (config.alphabet if config.distractors == "disjoint" else 0)
        self.inputs = Symbols(self.first_distractor + config.alphabet)
        self.answer = ClassAnswer(config.alphabet)

    @property
    def symbol_names(self) -> tuple[str, ...]:
        others = [f"other {n}" for n in range(1, self.first_distractor)]
        return ("?", *self.class_names, *others)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(f"cue {n}" for n in range(1, self.alphabet + 1))

    def length(self, lag: int) -> int:
        return lag + 1

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        steps = self.length(lag)
        low, high = self.first_distractor, self.first_distractor + self.alphabet
        inputs = torch.randint(low, high, (batch_size, steps), generator=generator, dtype=SYMBOL)
        cues = torch.randint(self.alphabet, (batch_size, 1), generator=generator)
        inputs[:, :1] = 1 + cues
        inputs[:, -1] = QUERY
        return Batch(inputs, cues, torch.full((batch_size, 1), steps - 1))
