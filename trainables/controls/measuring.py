"""Controls of a task: what succeeds on it without the inputs that it is meant to need.

A task says that its answers need inputs at least ``lag`` steps back. Here that is put to the test,
each scored answer on its own, with a learner that is cheap, always the same, and as strong as it
is: kernel ridge regression on a few statistics of the sequence. What it finds is there; what it
does not find may be there all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.controls.kernel_ridge import KernelRidge
from trainables.controls.shortcuts import bag, edges, last_input
from trainables.measure.reliability import lower_bound, upper_bound
from trainables.tasks.held_out import most_alike
from trainables.tasks.task import Batch, ClassAnswer, Symbols, Task

SEQUENCES = 512
"""Learned from, and as many to test on; fewer where there are not as many held-out rows."""

STEPS_AT_MOST, SEQUENCES_AT_LEAST = 2**21, 128
"""Sequences times steps of a draw: at long lags fewer sequences are shown."""

SURE = 0.9999
"""Confidence at which a control is called above chance: there are many of them."""

Control = Literal["constant", "last input", "bag", "blinded", "shuffled"]
CONTROLS: tuple[Control, ...] = ("constant", "last input", "bag", "blinded", "shuffled")
Shortcut = Callable[[Batch], Tensor]
"""From a batch to the features of its sequences."""


@dataclass(frozen=True)
class Rate:
    """Successes of the sequences shown."""

    successes: int
    shown: int

    @property
    def rate(self) -> float:
        """Share of successes."""
        return self.successes / max(1, self.shown)


@dataclass(frozen=True)
class Controls:
    """A task's controls at one lag, each at the scored answer at which it does best.

    Attributes:
        chance: of a guess: 1 / classes, the best constant number, or one half of a pair
        rates: of every control
        level: what the blinded and the shuffled may not be shown to be above
    """

    lag: int
    chance: float
    rates: dict[Control, Rate]
    level: float

    def complaint(self, success: float) -> str | None:
        """Why the task cannot tell memory, in one line; None if nothing was found.

        The bag is no reason: it is made of all inputs, so whoever has it remembers the old ones.
        """
        needless: dict[Control, str] = {
            "constant": "one and the same answer succeeds",
            "last input": "whoever sees the last input alone succeeds",
            "blinded": "whoever sees nothing as old as the lag succeeds",
        }
        for control, said in needless.items():
            found = self.rates[control]
            if lower_bound(found.successes, found.shown) >= success:
                return f"{said}{self._on(found)}; success {success:g} then needs no memory"
        leaking: dict[Control, str] = {
            "blinded": "whoever sees nothing as old as the lag succeeds",
            "shuffled": "whoever learned from shuffled labels succeeds",
        }
        for control, said in leaking.items():
            found = self.rates[control]
            if lower_bound(found.successes, found.shown, SURE) > self.level:
                return f"{said}{self._on(found)}; chance is at most {self.level:.1%}"
        return None

    def _on(self, found: Rate) -> str:
        return f" on {found.successes} of {found.shown} sequences at lag {self.lag}"


def measure(task: Task, lag: int, seed: int = 0) -> Controls:
    """Measure the controls of ``task`` at ``lag``, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    count = max(SEQUENCES_AT_LEAST, min(SEQUENCES, STEPS_AT_MOST // task.length(lag)))
    rows = 2 * count if task.paired else count
    train = task.split("train").sample(lag, count, generator)
    test = next(iter(task.split("test").draw(lag, count, 2 * count, generator)))
    donors = task.split("selection").sample(lag, rows, generator)
    found = []
    for place in _places(test.targets.shape[1]):
        one, other = one_answer(train, place), one_answer(test, place)
        found.append(_of_answer(task, lag, one, other, donors, generator))
    rates = {control: max((each[control] for each in found), key=_rate) for control in found[0]}
    constant = rates["constant"]
    chance = _chance(task, test)
    level = max(chance, upper_bound(constant.successes, constant.shown, 0.99))
    return Controls(lag, chance, rates, chance if task.paired else level)


def one_answer(batch: Batch, place: int) -> Batch:
    """The same sequences with one of their answers."""
    some = slice(place, place + 1)
    return replace(batch, targets=batch.targets[:, some], scored=batch.scored[:, some])


def blinded(task: Task, batch: Batch, donors: Batch, lag: int) -> Batch:
    """The same with all inputs ``lag`` or more steps before the answer replaced.

    Each sequence takes those of one of the ``donors``, at the same steps, so that the inputs look
    as they always do and only what they tell of this answer is gone.
    """
    hidden = task.old(batch, lag)
    if batch.inputs.ndim == 3:
        hidden = hidden[..., None]
    return replace(batch, inputs=torch.where(hidden, donors.inputs[: len(hidden)], batch.inputs))


def shuffled(task: Task, batch: Batch, generator: torch.Generator) -> Batch:
    """The same with the answers dealt out anew; both halves of a pair are dealt the same."""
    if not task.paired:
        dealt = torch.randperm(len(batch.targets), generator=generator)
        return replace(batch, targets=batch.targets[dealt])
    first = -(-len(batch.targets) // 2)
    dealt = torch.randperm(first, generator=generator).repeat(2)[: len(batch.targets)]
    return replace(batch, targets=batch.targets[dealt])


def _of_answer(
    task: Task, lag: int, train: Batch, test: Batch, donors: Batch, generator: torch.Generator
) -> dict[Control, Rate]:
    vocabulary = task.inputs.vocabulary if isinstance(task.inputs, Symbols) else 0

    def look(batch: Batch) -> Tensor:
        return edges(batch, vocabulary, lag)

    blind_train, blind_test = (blinded(task, batch, donors, lag) for batch in (train, test))
    dealt_train, dealt_test = (shuffled(task, batch, generator) for batch in (train, test))
    constant = _wanted(task, train).mean(0).expand(len(test.targets), -1)
    return {
        "constant": _judged(task, constant, test),
        "last input": _learned(task, train, test, lambda batch: last_input(batch, vocabulary)),
        "bag": _learned(task, train, test, lambda batch: bag(batch, vocabulary)),
        "blinded": _learned(task, blind_train, blind_test, look),
        "shuffled": _learned(task, dealt_train, dealt_test, look),
    }


def _learned(task: Task, train: Batch, test: Batch, shortcut: Shortcut) -> Rate:
    """Learn to answer from features of the training sequences; succeed on the held-out ones."""
    learner = KernelRidge(shortcut(train), _wanted(task, train))
    return _judged(task, learner.predict(shortcut(test)), test)


def _judged(task: Task, outputs: Float[Tensor, "B C"], test: Batch) -> Rate:
    successes = task.judge(outputs[:, None], test)
    return Rate(int(successes.sum()), len(successes))


def _wanted(task: Task, batch: Batch) -> Float[Tensor, "B C"]:
    """What a model should put out: 1 for the right class, or the scaled number (B, C)."""
    targets = batch.targets[:, 0]
    if isinstance(task.answer, ClassAnswer):
        return torch.nn.functional.one_hot(targets, task.answer.classes).float()
    return ((targets - task.answer.offset) / task.answer.scale)[:, None]


def _chance(task: Task, test: Batch) -> float:
    if task.paired:
        return 0.5
    if isinstance(task.answer, ClassAnswer):
        return 1 / task.answer.classes
    return most_alike(test.targets[:, 0], task.answer) / len(test.targets)


def _places(answers: int) -> list[int]:
    """The first, the middle and the last."""
    return sorted({0, answers // 2, answers - 1})


def _rate(found: Rate) -> float:
    return found.rate
