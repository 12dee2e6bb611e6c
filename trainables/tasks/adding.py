"""``adding``: the sum of the two marked numbers among many.

(u_1, m_1) .. (u_T, m_T)  ->  sum of the u_t with m_t = 1, at the last step

Hochreiter & Schmidhuber (1997, experiment 4), in three variants.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from trainables.tasks.task import Batch, NumberAnswer, Reals, Task, TaskConfig

TOLERANCE = 0.04
EARLY_STEPS = 10


class Adding(Task):
    """One answer a sequence, right if it is off by less than the ``tolerance``, 0.04.

    Features: the number and its mark. Best blind guesses, with the first mark out of sight, at that
    tolerance: ``halves`` 0.08 (the second number is seen), ``early`` 0.0784, ``classic`` 0.154 to
    0.16 (neither number is seen).
    """

    class Config(TaskConfig):
        """Where the marks lie, and of what range the numbers are.

        Attributes:
            variant: ``halves``: numbers in [0, 1], T = 2 lag, a mark in each half: the first lies
                at least ``lag`` back (Arjovsky et al. 2016, and the records since).
                ``early``: numbers in [0, 1], T = lag + 10, both marks in the first ten steps.
                ``classic``: numbers in [-1, 1], a minimal length T = 2 lag and up to a tenth more,
                one mark in the first ten steps, one among the first T / 2 - 1 others, both at
                least ``lag`` back; the ends are marked -1, and a number that would be marked at
                the first step counts as 0; the answer is 0.5 + (X1 + X2) / 4. As in 1997:
                T = 1000 is lag 500.
            tolerance: an answer is right if it is off by less; 0.04 as in 1997

        """

        kind: Literal["adding"] = "adding"
        variant: Literal["halves", "early", "classic"] = "halves"
        tolerance: float = Field(default=TOLERANCE, gt=0, lt=0.5)

        later: ClassVar[frozenset[str]] = frozenset({"tolerance"})

    inputs = Reals(2)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.answer = NumberAnswer(config.tolerance)
        self.variant = config.variant

    @property
    def feature_names(self) -> tuple[str, ...]:
        return ("number", "mark")

    @property
    def shortest_lag(self) -> int:
        """Room for the ten early steps of the classic."""
        return EARLY_STEPS if self.variant == "classic" else 1

    def source_length(self, lag: int) -> int:
        """The length that the papers call T; of the classic, the shortest."""
        return lag + EARLY_STEPS if self.variant == "early" else 2 * lag

    def length(self, lag: int) -> int:
        source = self.source_length(lag)
        return source + source // 10 if self.variant == "classic" else source

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        steps = self.length(lag)
        numbers = torch.rand(batch_size, steps, generator=generator)
        marked = self._marked_steps(lag, batch_size, generator)
        marks = torch.zeros(batch_size, steps).scatter_(1, marked, 1.0)
        scored = torch.full((batch_size, 1), steps - 1)
        if self.variant == "classic":
            numbers = 2 * numbers - 1
            shortest = self.source_length(lag)
            scored = torch.randint(shortest - 1, steps, (batch_size, 1), generator=generator)
            marks[:, 0] = -1
            marks.scatter_(1, scored, -1.0)
        total = (numbers * (marks == 1)).sum(1, keepdim=True)
        targets = 0.5 + total / 4 if self.variant == "classic" else total
        return Batch(torch.stack((numbers, marks), dim=-1), targets, scored)

    def _marked_steps(self, lag: int, batch_size: int, generator: torch.Generator) -> Tensor:
        """Two different steps a sequence (B, 2)."""

        def below(bound: int) -> Tensor:
            return torch.randint(bound, (batch_size, 1), generator=generator)

        if self.variant == "halves":
            return torch.cat((below(lag), lag + below(lag)), dim=1)
        first = below(EARLY_STEPS)
        second = below((EARLY_STEPS if self.variant == "early" else lag) - 1)
        return torch.cat((first, second + (second >= first)), dim=1)
