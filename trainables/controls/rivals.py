"""Rivals: the controls that a member has to beat on a rung, on the very sequences it is tested on.

A success rate alone may be a majority's: where nine of ten answers are the same, whoever gives it
always succeeds nine times in ten. A member is called better than a control only if an exact paired
test shows it (`trainables.measure.reliability.better_than`), and has to be better than each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from trainables.controls.guessers import (
    NEEDLESS,
    Guesser,
    Needless,
    blinded_parts,
    by_edges,
    by_last_input,
    constant,
    each_place,
    judged,
)
from trainables.controls.measuring import draw_donors, shown_at
from trainables.controls.parts import Parts, held
from trainables.measure.reliability import better_than
from trainables.tasks.task import Batch, Task


@dataclass(frozen=True)
class Compared:
    """A member and the controls on the same sequences.

    Attributes:
        sequences: that were shown
        right: of those, the member's successes
        rivals: by control, its successes
        won: by control, sequences on which the member alone succeeds
        lost: by control, those on which the control alone does
    """

    sequences: int
    right: int
    rivals: dict[Needless, int]
    won: dict[Needless, int]
    lost: dict[Needless, int]

    @property
    def best(self) -> Needless:
        """The control with the most successes."""
        return max(self.rivals, key=lambda control: self.rivals[control])

    @property
    def best_rate(self) -> float:
        """Its share of successes; 0 where nothing was shown."""
        return self.rivals[self.best] / max(1, self.sequences)

    def beaten(self, confidence: float) -> bool:
        """Whether the member is shown to be better than every control.

        It errs with at most 1 - ``confidence``: to call it better than all, wrongly, the test
        against one that is as good has to err.
        """
        return all(better_than(self.won[c], self.lost[c], confidence) for c in self.rivals)


class Rivals:
    """The controls of a task at a lag, learned from its training sequences.

    A sequence of several answers is a control's success if it is right at every place looked at
    (`trainables.controls.guessers.places`): it is given no less than it is due.

    Args:
        generator: draws what is learned from
    """

    def __init__(self, task: Task, lag: int, generator: torch.Generator) -> None:
        self._task, self._lag = task, lag
        count = shown_at(task, lag)
        train = held(task.split("train").sample(lag, count, generator), task.inputs)
        donors = draw_donors(task, lag, count, generator)
        with torch.autocast("cpu", enabled=False):
            self._guessers = [self._learned(one, donors) for one in each_place(task, train)]

    def compare(
        self,
        batches: Iterator[tuple[Batch, Bool[Tensor, " N"]]],
        generator: torch.Generator,
    ) -> Compared:
        """Show the controls what a member was shown, and with what success.

        Args:
            batches: held-out sequences with whether the member was right on each
            generator: draws what stands in for old inputs
        """
        sequences = right = 0
        rivals, won, lost = (dict.fromkeys(NEEDLESS, 0) for _ in range(3))
        for batch, member in batches:
            sequences += len(member)
            right += int(member.sum())
            with torch.autocast("cpu", enabled=False):
                by_control = self._right(batch, generator)
            for control, guessed in by_control.items():
                rivals[control] += int(guessed.sum())
                won[control] += int((member & ~guessed).sum())
                lost[control] += int((~member & guessed).sum())
        return Compared(sequences, right, rivals, won, lost)

    def _learned(self, train: Batch, donors: Batch) -> dict[Needless, Guesser]:
        task, lag = self._task, self._lag
        return {
            "constant": constant(task, train),
            "last input": by_last_input(task, Parts(train)),
            "blinded": by_edges(task, blinded_parts(task, train, donors, lag), lag),
        }

    def _right(
        self, batch: Batch, generator: torch.Generator
    ) -> dict[Needless, Bool[Tensor, " N"]]:
        task, count = self._task, len(batch.targets)
        donors = task.split("selection").sample(self._lag, count, generator)
        right = {control: torch.ones(count, dtype=torch.bool) for control in NEEDLESS}
        for one, guessers in zip(each_place(task, batch), self._guessers, strict=True):
            shown = dict.fromkeys(NEEDLESS, Parts(one))
            shown["blinded"] = blinded_parts(task, one, donors, self._lag)
            for control, guess in guessers.items():
                right[control] &= judged(task, guess(shown[control]), one)
        return right


MakeRivals = Callable[[int], Rivals]
"""From a lag to what has to be beaten there."""
