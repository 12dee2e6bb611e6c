"""Controls of a task: what succeeds on it without the inputs that it is meant to need.

A task says that its answers need inputs at least ``lag`` steps back. Here that is put to the test,
each scored answer on its own, with learners that are cheap and always the same
(`trainables.controls.guessers`). What they find is there; what they do not find may be there all
the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from trainables.controls.guessers import (
    NEEDLESS,
    Guesser,
    Needless,
    blinded_parts,
    by_bag,
    by_edges,
    by_last_input,
    constant,
    each_place,
    judged,
    shuffled,
)
from trainables.controls.parts import Parts, held
from trainables.measure.reliability import lower_bound, upper_bound
from trainables.tasks.held_out import most_alike
from trainables.tasks.task import Batch, ClassAnswer, Task

SEQUENCES = 512
"""Learned from, and as many to test on; fewer where there are not as many held-out rows."""

STEPS_AT_MOST, SEQUENCES_AT_LEAST = 2**21, 128
"""Sequences times steps of a draw: at long lags fewer sequences are shown."""

SURE = 0.9999
"""Confidence at which a control is called above chance: there are many of them."""

Control = Literal["constant", "last input", "bag", "blinded", "shuffled"]
CONTROLS: tuple[Control, ...] = ("constant", "last input", "bag", "blinded", "shuffled")

LEAKING: tuple[Control, ...] = ("blinded", "shuffled")
"""What may not be shown to be above chance."""

SUCCEEDS: dict[Control, str] = {
    "constant": "one and the same answer succeeds",
    "last input": "whoever sees the last input alone succeeds",
    "blinded": "whoever sees nothing as old as the lag succeeds",
    "shuffled": "whoever learned from shuffled labels succeeds",
}


@dataclass(frozen=True)
class Rate:
    """Successes of the sequences shown."""

    successes: int
    shown: int

    @property
    def rate(self) -> float:
        """Share of successes."""
        return self.successes / max(1, self.shown)

    @property
    def at_least(self) -> float:
        """Its 95 % lower confidence bound."""
        return lower_bound(self.successes, self.shown)

    @property
    def at_most(self) -> float:
        """Its 95 % upper confidence bound."""
        return upper_bound(self.successes, self.shown)


@dataclass(frozen=True)
class Controls:
    """A task's controls at one lag, each at the scored answer at which it does best.

    Attributes:
        chance: of a guess: 1 / classes, the best constant number, or one half of a pair
        rates: of every control
        level: what the blinded and the shuffled may not be shown to be above
        promised: whether every answer is said to need inputs as old as the lag; where none is, a
            control is given a sequence for which it is right at every place looked at
        paired: whether a success is a comparison of a sequence with itself
        whole: of several answers a sequence, the rates of sequences that are right at every place
            looked at, which is what success is; empty where they are ``rates``
    """

    lag: int
    chance: float
    rates: dict[Control, Rate]
    level: float
    paired: bool = False
    promised: bool = True
    whole: dict[Control, Rate] = field(default_factory=dict)

    @property
    def of_sequences(self) -> dict[Control, Rate]:
        """Each control's successes, which are whole sequences."""
        return self.whole or self.rates

    @property
    def best(self) -> Needless:
        """Of those that may not reach the success asked for, the one that may be the highest."""
        return max(NEEDLESS, key=lambda control: self.of_sequences[control].at_most)

    def complaint(self, success: float) -> str | None:
        """Why the task cannot tell memory, in one line; None if nothing was found.

        The bag is no reason: it is made of all inputs, so whoever has it remembers the old ones.
        """
        for control in NEEDLESS:
            found = self.of_sequences[control]
            if found.at_least >= success:
                return f"{self._succeeds(control, found)}; success {success:g} then needs no memory"
        for leaking in LEAKING if self.promised else ():
            found = self.rates[leaking]
            if lower_bound(found.successes, found.shown, SURE) > self.level:
                return f"{self._succeeds(leaking, found)}; chance is at most {self.level:.1%}"
        for control in NEEDLESS:
            found = self.of_sequences[control]
            most = found.at_most
            if most >= success and not self.paired:
                return (
                    f"{self._succeeds(control, found)}, so in up to {most:.1%} of all; it must be"
                    f" established to stay below success {success:g}: choose a higher success"
                )
        return None

    def _succeeds(self, control: Control, found: Rate) -> str:
        shown = f"{found.successes} of {found.shown} sequences at lag {self.lag}"
        return f"{SUCCEEDS[control]} on {shown}"


def measure(task: Task, lag: int, seed: int = 0) -> Controls:
    """Measure the controls of ``task`` at ``lag``, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    count = shown_at(task, lag)
    train = held(task.split("train").sample(lag, count, generator), task.inputs)
    drawn = next(iter(task.split("test").draw(lag, count, 2 * count, generator)))
    test = held(drawn, task.inputs)
    del drawn
    donors = draw_donors(task, lag, count, generator)
    found = []
    for one, other in zip(each_place(task, train), each_place(task, test), strict=True):
        found.append(_of_answer(task, lag, one, other, donors, generator))
    whole = {c: _together([each[c] for each in found], each_counts=False) for c in CONTROLS}
    rates = whole
    if task.promises_lag:
        rates = {c: _together([each[c] for each in found], each_counts=True) for c in CONTROLS}
    guessed = rates["constant"]
    chance = _chance(task, test)
    level = max(chance, upper_bound(guessed.successes, guessed.shown, 0.99))
    level = chance if task.paired else level
    return Controls(lag, chance, rates, level, task.paired, task.promises_lag, whole)


def shown_at(task: Task, lag: int) -> int:
    """How many sequences are learned from, or tried, at ``lag``."""
    return max(SEQUENCES_AT_LEAST, min(SEQUENCES, STEPS_AT_MOST // task.length(lag)))


def draw_donors(task: Task, lag: int, count: int, generator: torch.Generator) -> Batch:
    """Sequences whose old inputs stand in for those of ``count`` others, or of as many pairs."""
    rows = 2 * count if task.paired else count
    return held(task.split("selection").sample(lag, rows, generator), task.inputs)


def _of_answer(
    task: Task, lag: int, train: Batch, test: Batch, donors: Batch, generator: torch.Generator
) -> dict[Control, Bool[Tensor, " N"]]:
    blind_train, blind_test = (blinded_parts(task, each, donors, lag) for each in (train, test))
    dealt_train, dealt_test = (Parts(shuffled(task, each, generator)) for each in (train, test))
    learned, tested = Parts(train), Parts(test)
    tried: dict[Control, tuple[Guesser, Parts]] = {
        "constant": (constant(task, train), tested),
        "last input": (by_last_input(task, learned), tested),
        "bag": (by_bag(task, learned), tested),
        "blinded": (by_edges(task, blind_train, lag), blind_test),
        "shuffled": (by_edges(task, dealt_train, lag), dealt_test),
    }
    return {c: judged(task, guess(each), each.batch) for c, (guess, each) in tried.items()}


def _together(right: list[Bool[Tensor, " N"]], each_counts: bool) -> Rate:
    """The rate at the place where it is highest, or of the sequences right at every place."""
    if not each_counts:
        right = [torch.stack(right).all(0)]
    return max((Rate(int(found.sum()), len(found)) for found in right), key=_rate)


def _chance(task: Task, test: Batch) -> float:
    if task.paired:
        return 0.5
    if isinstance(task.answer, ClassAnswer):
        return 1 / task.answer.classes
    return most_alike(test.targets[:, 0], task.answer) / len(test.targets)


def _rate(found: Rate) -> float:
    return found.rate
