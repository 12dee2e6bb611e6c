"""Success on fresh sequences: counted, never averaged over answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainables.measure.reliability import lower_bound, upper_bound
from trainables.models.model import Model
from trainables.tasks.task import Task

STEPS_AT_ONCE = 2**18
"""Sequences times steps of one evaluation batch, so that memory does not grow with the lag."""


@dataclass(frozen=True)
class Tally:
    """How many of the sequences were right in every scored answer."""

    successes: int
    sequences: int

    @property
    def rate(self) -> float:
        """Success rate; 0 where nothing was shown."""
        return self.successes / self.sequences if self.sequences else 0.0

    def lower_bound(self, confidence: float) -> float:
        """One-sided Clopper-Pearson lower bound of the rate."""
        return lower_bound(self.successes, self.sequences, confidence)

    def upper_bound(self, confidence: float) -> float:
        """One-sided Clopper-Pearson upper bound of the rate."""
        return upper_bound(self.successes, self.sequences, confidence)


@torch.no_grad()
def evaluate(
    model: Model,
    task: Task,
    lag: int,
    sequences: int,
    generator: torch.Generator,
    device: torch.device,
) -> Tally:
    """The model's success on up to ``sequences`` held-out sequences of ``task`` at ``lag``.

    A finite split shows each row at most once, so the tally may hold fewer.
    """
    batch_size = max(1, min(256, STEPS_AT_ONCE // task.length(lag)))
    was_training = model.training
    model.eval()
    successes = shown = 0
    for batch in task.draw(lag, sequences, batch_size, generator):
        there = batch.to(device)
        right = task.judge(model(there.inputs, there.scored), there)
        successes += int(right.sum())
        shown += len(right)
    model.train(was_training)
    return Tally(successes, shown)
