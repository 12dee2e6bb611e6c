"""Guessers: learners that answer without the inputs that a task's answers are meant to need.

Each learns one scored answer a sequence from training sequences, and then answers others. A
learner is cheap, always the same, and as strong as it is: the best constant, or kernel ridge
regression on a few statistics of the sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trainables.controls.kernel_ridge import KernelRidge
from trainables.controls.parts import Parts, some_rows
from trainables.controls.shortcuts import bag, edges, last_input
from trainables.tasks.answer import asked
from trainables.tasks.task import Batch, ClassAnswer, NumberAnswer, Symbols, Task

Needless = Literal["constant", "last input", "blinded"]
NEEDLESS: tuple[Needless, ...] = ("constant", "last input", "blinded")
"""What may not reach the success asked for, and what a member has to beat."""

Outputs = Float[Tensor, "B C"]
Guesser = Callable[[Parts], Outputs]
"""From sequences of one answer each to what a model would put out there."""

Shortcut = Callable[[Batch], Tensor]
"""From a batch to the features of its sequences."""


def learned(task: Task, train: Parts, shortcut: Shortcut) -> Guesser:
    """Learns to answer from features of the training sequences."""

    def features(sequences: Parts) -> Tensor:
        return torch.cat([shortcut(part) for part in sequences])

    learner = KernelRidge(features(train), wanted(task, train.batch))
    return lambda sequences: learner.predict(features(sequences))


def by_last_input(task: Task, train: Parts) -> Guesser:
    """Sees the input at the scored step alone."""
    vocabulary = vocabulary_of(task)
    return learned(task, train, lambda batch: last_input(batch, vocabulary))


def by_bag(task: Task, train: Parts) -> Guesser:
    """Sees all inputs up to the scored step, in no order."""
    vocabulary = vocabulary_of(task)
    return learned(task, train, lambda batch: bag(batch, vocabulary))


def by_edges(task: Task, train: Parts, lag: int) -> Guesser:
    """Sees both edges of what is younger than ``lag``, and the bag."""
    vocabulary = vocabulary_of(task)
    return learned(task, train, lambda batch: edges(batch, vocabulary, lag))


def constant(task: Task, train: Batch) -> Guesser:
    """Gives the one answer that is right for most of the training sequences."""
    targets = train.targets[:, 0]
    targets = targets[asked(targets)]
    if isinstance(task.answer, ClassAnswer):
        counts = torch.bincount(targets, minlength=task.answer.classes)
        best = counts.float() / max(1, len(targets))
    else:
        value = _densest(targets, task.answer)
        best = torch.tensor([(value - task.answer.offset) / task.answer.scale])
    return lambda sequences: best.expand(len(sequences.batch.targets), -1)


def vocabulary_of(task: Task) -> int:
    """Symbols there are; 0 where inputs are numbers."""
    return task.inputs.vocabulary if isinstance(task.inputs, Symbols) else 0


def wanted(task: Task, batch: Batch) -> Outputs:
    """What a model should put out: 1 for the right class, or the scaled number (B, C)."""
    targets = batch.targets[:, 0]
    if isinstance(task.answer, ClassAnswer):
        classes = torch.nn.functional.one_hot(targets.clamp(min=0), task.answer.classes)
        return classes.float() * asked(targets)[:, None]
    return ((targets - task.answer.offset) / task.answer.scale)[:, None]


def judged(task: Task, outputs: Outputs, batch: Batch) -> Bool[Tensor, " N"]:
    """Which sequences, of one answer each, the outputs are right on."""
    return task.judge(outputs[:, None], batch)


def places(answers: int, promises_lag: bool = True) -> list[int]:
    """Of a sequence's scored answers those looked at: the first, the middle and the last.

    Up to eight, evenly spaced, where single answers need no memory and only all of them tell.
    """
    parts = 2 if promises_lag else 7
    return sorted({min(answers - 1, part * answers // parts) for part in range(parts + 1)})


def each_place(task: Task, batch: Batch) -> Iterator[Batch]:
    """The same sequences with one answer each, for every place looked at."""
    for place in places(batch.targets.shape[1], task.promises_lag):
        yield one_answer(batch, place)


def one_answer(batch: Batch, place: int) -> Batch:
    """The same sequences with one of their answers, by its number among as many as can be.

    Of a sequence that is asked for fewer, its first, its middle or its last: whichever that is.
    """
    most = batch.targets.shape[1]
    count = asked(batch.targets).sum(1, keepdim=True)
    own = count * place // most if place < most - 1 else count - 1
    one = (most - count + own).clamp(0, most - 1)
    return replace(batch, targets=batch.targets.gather(1, one), scored=batch.scored.gather(1, one))


def blinded_parts(task: Task, batch: Batch, donors: Batch, lag: int) -> Parts:
    """What `blinded` gives, a part at a time."""
    return Parts(batch, lambda part, rows: blinded(task, part, some_rows(donors, rows), lag))


def blinded(task: Task, batch: Batch, donors: Batch, lag: int) -> Batch:
    """The same with all inputs ``lag`` or more steps before the answer replaced.

    Each sequence takes those of one of the ``donors``, at the same steps, so that the inputs look
    as they always do and only what they tell of this answer is gone. Donors of another length are
    taken from their end, their first step again where they are shorter.
    """
    hidden = task.old(batch, lag)
    if batch.inputs.ndim == 3:
        hidden = hidden[..., None]
    steps, others = batch.inputs.shape[1], donors.inputs.shape[1]
    given = donors.inputs[: len(hidden), (torch.arange(steps) + others - steps).clamp(min=0)]
    return replace(batch, inputs=torch.where(hidden, given, batch.inputs))


def shuffled(task: Task, batch: Batch, generator: torch.Generator) -> Batch:
    """The same with the answers dealt out anew; both halves of a pair are dealt the same."""
    if not task.paired:
        dealt = torch.randperm(len(batch.targets), generator=generator)
        return replace(batch, targets=batch.targets[dealt])
    first = -(-len(batch.targets) // 2)
    dealt = torch.randperm(first, generator=generator).repeat(2)[: len(batch.targets)]
    return replace(batch, targets=batch.targets[dealt])


def _densest(targets: Float[Tensor, " N"], answer: NumberAnswer) -> float:
    """The number that is right for most of the targets: the middle of where they lie densest."""
    ordered = targets.sort().values
    ends = torch.searchsorted(ordered, ordered + 2 * answer.tolerance)
    first = int((ends - torch.arange(len(ordered))).argmax())
    return float(ordered[first] + ordered[int(ends[first]) - 1]) / 2
