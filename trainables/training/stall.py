"""When a member has plainly stalled: a record of its stretches on one rung."""

from __future__ import annotations

import math

from trainables.measure.ladder_config import StallRule

STRETCHES = 50
"""How many equal stretches a rung's budget is cut into."""


class Stretches:
    """Mean loss and success rate of each finished stretch of a rung's budget."""

    def __init__(self, budget: int) -> None:
        self.size = max(1, budget // STRETCHES)
        self.losses: list[float] = []
        self.rates: list[float] = []
        self._loss = self._successes = 0.0
        self._sequences = self._used = 0

    def add(self, loss: float, successes: int, sequences: int) -> None:
        """One batch at the rung's lag: its mean loss, and how many of its sequences were right."""
        self._loss += loss * sequences
        self._successes += successes
        self._sequences += sequences
        self._used += sequences
        if self._used >= self.size:
            self.losses.append(self._loss / self._sequences)
            self.rates.append(self._successes / self._sequences)
            self._loss = self._successes = 0.0
            self._sequences = 0
            self._used %= self.size

    def rehearse(self, sequences: int) -> None:
        """One batch at another lag: it uses up budget and says nothing about the rung."""
        self._used += sequences

    def stalled(self, rule: StallRule) -> bool:
        """Whether the last ``patience`` brought neither a lower loss nor more success."""
        recent = math.ceil(rule.patience * STRETCHES)
        if len(self.losses) <= recent:
            return False
        falls = min(self.losses[-recent:]) < min(self.losses[:-recent]) * (1 - rule.improvement)
        rises = max(self.rates[-recent:]) > max(self.rates[:-recent])
        return not falls and not rises

    def state(self) -> dict[str, object]:
        """What `restore` needs."""
        return {name: value for name, value in vars(self).items() if name != "size"}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from `state`."""
        vars(self).update(state)
