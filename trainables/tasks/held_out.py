"""Whether a finite task's held-out sequences can tell that a ``success`` was reached."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.measure.reliability import look_confidence, lower_bound, trials_needed
from trainables.shapes import Targets
from trainables.tasks.answer import asked, not_asked
from trainables.tasks.task import ClassAnswer, NumberAnswer, Split, Task

TEST_SHARE = 0.2
"""Of all rows, those held out (`trainables.tasks.split.splitting`)."""

MOST_GUESSED = 2048
"""Held-out sequences on which the best constant answer is tried."""

LEARNED_FROM: tuple[Split, ...] = ("train", "selection")


def require_held_out(task: Task, success: float, rungs: Sequence[int]) -> None:
    """Refuse a ``success`` that the held-out sequences cannot establish, or that needs no memory.

    Raises:
        ValueError: naming the lag, if it is beyond the task's longest; if all its held-out
            sequences right would not be enough at the first look, or none is there to train on or
            to select by; or if giving the same answer always is enough.

    """
    for lag in rungs:
        task.length(lag)
        if task.distinct_sequences(lag) is not None:
            _require_enough(task, success, lag)
            if not task.paired:
                _require_memory(task, success, lag)


def _require_enough(task: Task, success: float, lag: int) -> None:
    held_out = task.split("test").distinct_sequences(lag) or 0
    needed = trials_needed(success, look_confidence(1))
    if held_out < needed:
        raise ValueError(
            f"success: {success} cannot be established on the {held_out} different held-out rows of"
            f" {task} at lag {lag}; it takes at least {needed} rows held out,"
            f" about {round(needed / TEST_SHARE)} in all"
        )
    for part in LEARNED_FROM:
        if not task.split(part).distinct_sequences(lag):
            raise ValueError(
                f"lag: {lag} cannot be learned: no row of {task} is in its {part} part"
            )


def _require_memory(task: Task, success: float, lag: int) -> None:
    test, generator = task.split("test"), torch.Generator().manual_seed(0)
    batches = test.draw(lag, MOST_GUESSED, 64, generator)
    same = torch.cat([_only_answer(batch.targets) for batch in batches])
    guessed, shown = most_alike(same, test.answer), len(same)
    if lower_bound(guessed, shown, look_confidence(1)) >= success:
        raise ValueError(
            f"success: {success} is reached on {task} without looking: one and the same answer is"
            f" right for {guessed} of {shown} held-out rows at lag {lag}; choose a higher success"
        )


def _only_answer(targets: Targets) -> Tensor:
    """What one and the same answer must be to be right wherever a row is asked (B,).

    None is asked where there is no such. Numbers are the same only if they are equal.
    """
    if targets.shape[1] == 1:
        return targets[:, 0]
    there = asked(targets)
    first = targets.gather(1, there.int().argmax(1, keepdim=True))
    return not_asked(first, ((targets != first) & there).any(1, keepdim=True))[:, 0]


def most_alike(targets: Tensor, answer: ClassAnswer | NumberAnswer) -> int:
    """How many of the targets (N,) the best constant answer gets right."""
    targets = targets[asked(targets)]
    if not len(targets):
        return 0
    if isinstance(answer, ClassAnswer):
        return int(torch.bincount(targets).max())
    ordered = targets.sort().values
    within = torch.searchsorted(ordered, ordered + 2 * answer.tolerance)
    return int((within - torch.arange(len(ordered))).max())
