"""``permutation_tracking``: where a series of permutations has taken the items.

x_0 x_1 .. x_lag  ->  x_lag o .. o x_1 o x_0, where (a o b)(i) = a(b(i))

The word problem of the symmetric group S_k: with k = 5 it is complete for NC1, and believed
out of reach of Transformers and diagonal state spaces of fixed depth (Barrington 1989; Merrill,
Petty & Sabharwal 2024).
"""

from __future__ import annotations

from itertools import permutations
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from trainables.tasks.task import SYMBOL, Batch, ClassAnswer, ProtocolConfig, Symbols, Task


class PermutationTracking(Task):
    """One answer a sequence, which needs every input: the first is ``lag`` back; T = lag + 1.

    Symbols and classes: the permutations of 0 .. items - 1 in lexicographic order, the identity
    first. Chance: 1 / items!, for the product is uniform while one factor is unknown.

    ``protocol: paper``: every prefix is asked for, at its last step; the last one's lag is ``lag``.
    """

    class Config(ProtocolConfig):
        """``items`` permuted: 6, 24 or 120 symbols and as many classes."""

        kind: Literal["permutation_tracking"] = "permutation_tracking"
        items: Literal[3, 4, 5] = 5

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.quotient = _quotients(config.items).to(SYMBOL)
        self.inputs = Symbols(len(self.quotient))
        self.answer = ClassAnswer(len(self.quotient))

    @property
    def symbol_names(self) -> tuple[str, ...]:
        return tuple("".join(map(str, p)) for p in permutations(range(self.config.items)))

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.symbol_names

    def length(self, lag: int) -> int:
        return lag + 1

    def sample(self, lag: int, batch_size: int, generator: torch.Generator) -> Batch:
        self._require(lag)
        # uniform independent states make uniform independent factors, without a scan over time
        shape = (batch_size, self.length(lag))
        states = torch.randint(len(self.quotient), shape, generator=generator, dtype=SYMBOL)
        inputs = states.clone()
        inputs[:, 1:] = self.quotient[states[:, 1:], states[:, :-1]]
        if not self.promises_lag:
            return Batch(inputs, states.long(), torch.arange(lag + 1).repeat(batch_size, 1))
        return Batch(inputs, states[:, -1:].long(), torch.full((batch_size, 1), lag))


def _quotients(items: int) -> Int[Tensor, "G G"]:
    """The number of a o b^-1, for all permutations a and b."""
    elements = torch.tensor(list(permutations(range(items))))
    inverses = elements.argsort(1)
    products = elements[:, inverses]  # (a, b, i): a(b^-1(i))
    digits = items ** torch.arange(items)
    codes = (elements * digits).sum(-1)
    order = codes.argsort()
    return order[torch.searchsorted(codes[order], (products * digits).sum(-1))]
