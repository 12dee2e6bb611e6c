"""Whether a finite task's held-out sequences can tell that a ``success`` was reached."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.reliability import look_confidence, lower_bound, trials_needed
from trainables.tasks.task import ClassAnswer, NumberAnswer, Task

TEST_SHARE = 0.2
"""Of all rows, those held out (`trainables.tasks.rows.splitting`)."""


def require_held_out(task: Task, success: float) -> None:
    """Refuse a ``success`` that the held-out sequences cannot establish, or that needs no memory.

    Raises:
        ValueError: if all held-out sequences right would not be enough at the first look; or if
            giving the same answer always is enough.

    """
    test = task.split("test")
    held_out = test.distinct_sequences
    if held_out is None:
        return
    confidence = look_confidence(1)
    needed = trials_needed(success, confidence)
    if held_out < needed:
        raise ValueError(
            f"success: {success} cannot be established on the {held_out} different held-out rows of"
            f" {task}; it takes at least {needed} rows held out,"
            f" about {round(needed / TEST_SHARE)} in all"
        )
    guessed = _best_constant(test, held_out)
    if lower_bound(guessed, held_out, confidence) >= success:
        raise ValueError(
            f"success: {success} is reached on {task} without looking: one and the same answer is"
            f" right for {guessed} of the {held_out} held-out rows; choose a higher success"
        )


def _best_constant(test: Task, sequences: int) -> int:
    """Sequences that the best constant answer gets right, of those with one answer each."""
    generator = torch.Generator().manual_seed(0)
    batches = test.draw(test.shortest_lag, sequences, 256, generator)
    targets = torch.cat([batch.targets for batch in batches])[:, 0]
    return most_alike(targets, test.answer)


def most_alike(targets: Tensor, answer: ClassAnswer | NumberAnswer) -> int:
    """How many of the targets (N,) the best constant answer gets right."""
    if isinstance(answer, ClassAnswer):
        return int(torch.bincount(targets).max())
    ordered = targets.sort().values
    within = torch.searchsorted(ordered, ordered + 2 * answer.tolerance)
    return int((within - torch.arange(len(ordered))).max())
