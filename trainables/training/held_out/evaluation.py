"""Success on fresh sequences: counted, never averaged over answers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from trainables.measure.reliability import lower_bound, upper_bound
from trainables.models.model import Model, tested
from trainables.models.promises import BrokenPromiseError, differ
from trainables.models.room import UNLEARNED, Room
from trainables.shapes import Predictions, Targets
from trainables.tasks.answer import asked
from trainables.tasks.held_out import most_alike
from trainables.tasks.task import Batch, ClassAnswer, NumberAnswer, Task

TIMED = 5
"""Passes over one sequence of which the fastest is its latency."""

STEPS_AT_ONCE = UNLEARNED
"""Sequences times steps of one evaluation batch, so that memory does not grow with the lag."""

Stage = Iterator[tuple[Batch, Bool[Tensor, "N S"]]]
"""Held-out sequences, batch by batch, with which of their answers a model is right in."""


@dataclass(frozen=True)
class Tally:
    """How many of the sequences were right in every scored answer.

    Attributes:
        answers: scored answers of all of them
        answers_right: of those
        answers_guessed: of those, how many the best constant answer is right on
    """

    successes: int
    sequences: int
    answers: int = 0
    answers_right: int = 0
    answers_guessed: int = 0

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


def evaluate(
    model: Model,
    task: Task,
    lag: int,
    sequences: int,
    generator: torch.Generator,
    device: torch.device,
    memory_bytes: float = math.inf,
) -> Tally:
    """The model's success on up to ``sequences`` held-out sequences of ``task`` at ``lag``.

    A finite split shows each row at most once, so the tally may hold fewer. Where sequences would
    not fit into ``memory_bytes``, what carries no past reads them piece by piece, and keeps a state
    and the answers: memory is then that of the inputs, whatever the lag.
    """
    count = _Count(task)
    count.add(each_shown(model, task, lag, sequences, generator, device, memory_bytes=memory_bytes))
    return count.tally


def tallies(task: Task, stages: Iterable[Stage]) -> Iterator[Tally]:
    """The success by the end of each stage; the next is shown only once it is asked for."""
    count = _Count(task)
    for stage in stages:
        count.add(stage)
        yield count.tally


class _Count:
    """Counts what is shown."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.successes = self.shown = self.answers_right = self.answers = 0
        self.targets: list[Targets] = []

    def add(self, shown: Stage) -> None:
        for batch, each in shown:
            self.successes += int(each.all(1).sum())
            self.shown += len(each)
            counted = torch.ones_like(each) if self.task.paired else asked(batch.targets)
            self.answers += int(counted.sum())
            self.answers_right += int((each & counted).sum())
            self.targets.append(batch.targets)

    @property
    def tally(self) -> Tally:
        """Of all that was added so far."""
        paired = self.task.paired
        guessed = self.answers // 2 if paired else _guessed(self.targets, self.task.answer)
        return Tally(self.successes, self.shown, self.answers, self.answers_right, guessed)


def _guessed(targets: Sequence[Targets], answer: ClassAnswer | NumberAnswer) -> int:
    """How many answers the best constant one is right on, or of each column its own."""
    if targets and isinstance(answer, ClassAnswer) and answer.of_places:
        return sum(most_alike(column, answer) for column in torch.cat([*targets]).unbind(1))
    flat = [each.flatten() for each in targets]
    return most_alike(torch.cat(flat), answer) if flat else 0


@torch.no_grad()
def each_shown(
    model: Model,
    task: Task,
    lag: int,
    sequences: int,
    generator: torch.Generator,
    device: torch.device,
    mixed: bool = False,
    memory_bytes: float = math.inf,
) -> Stage:
    """Held-out sequences, batch by batch, with which of their answers the model is right in.

    A sequence is a success if all of its answers are right. The halves of a pair are always shown
    in batches of their own, each in an order of its own: a model that told them apart by their
    places, or by what lies beside them, would learn nothing from it. If ``mixed``,
    every batch's rows are shown in another order than they were drawn in.
    """
    order = torch.Generator().manual_seed(generator.initial_seed() % 2**63)
    drawn = task.draw(lag, sequences, _at_once(task, lag), generator)
    yield from _each_right(Room(model, memory_bytes), task, drawn, device, order, mixed)


def each_stage(
    model: Model,
    task: Task,
    lag: int,
    stages: Sequence[int],
    generator: torch.Generator,
    device: torch.device,
    mixed: bool = False,
    memory_bytes: float = math.inf,
) -> Iterator[Stage]:
    """As `each_shown`, stage by stage, each to be gone through before the next.

    One draw serves all stages, in batches small enough to end with the first, shown together where
    they are of one shape. So the same generator state gives the same sequences, however far it is
    gone through.

    The ``stages`` are the numbers of sequences shown by their ends, rising; of several, the first
    is a power of two and all but the last are multiples of it.
    """
    order = torch.Generator().manual_seed(generator.initial_seed() % 2**63)
    at_once, room = _at_once(task, lag), Room(model, memory_bytes)
    size = 1 << (min(stages[0], at_once).bit_length() - 1)
    drawn = iter(task.draw(lag, stages[-1], size, generator))
    for before, end in pairwise((0, *stages)):
        batches = islice(drawn, math.ceil((end - before) / size))
        yield _each_right(room, task, _together(batches, at_once), device, order, mixed)


def _together(batches: Iterable[Batch], at_once: int) -> Iterator[Batch]:
    """Batches that follow each other as one, up to ``at_once`` rows, where shapes are the same."""
    held: list[Batch] = []
    for batch in batches:
        same = held and held[0].inputs.shape[1:] == batch.inputs.shape[1:]
        same = same and held[0].targets.shape[1:] == batch.targets.shape[1:]
        if held and (not same or sum(len(b.inputs) for b in [*held, batch]) > at_once):
            yield _one(held)
            held = []
        held.append(batch)
    if held:
        yield _one(held)


def _one(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    parts = [torch.cat([getattr(b, name) for b in batches]) for name in vars(batches[0])]
    return Batch(*parts)


@torch.no_grad()
def _each_right(
    room: Room,
    task: Task,
    drawn: Iterable[Batch],
    device: torch.device,
    order: torch.Generator,
    mixed: bool,
) -> Stage:
    with tested(room.model):
        for batch in drawn:
            there = batch.to(device)
            rows = torch.arange(len(batch.inputs))
            if task.paired:
                answers = torch.cat([_answers(room, there, half, order) for half in rows.chunk(2)])
            elif mixed:
                answers = _answers(room, there, rows, order)
            else:
                answers = room.answers(there.inputs, there.scored)
            yield batch, task.judge_answers(answers, there).cpu()


@torch.no_grad()
def latency(
    model: Model,
    task: Task,
    lag: int,
    generator: torch.Generator,
    device: torch.device,
    memory_bytes: float = math.inf,
) -> float:
    """Seconds in which ``model`` answers one held-out sequence at ``lag`` by itself.

    The least of some passes, after one that counts for nothing: what others on the machine take is
    no part of it.
    """
    (batch,) = (each.to(device) for each in task.draw(lag, 1, 1, generator))
    room, found = Room(model, memory_bytes), math.inf
    with tested(model):
        for _ in range(1 + TIMED):
            began = time.perf_counter()
            room.answers(batch.inputs, batch.scored).cpu()
            found = min(found, time.perf_counter() - began)
    return found


def _at_once(task: Task, lag: int) -> int:
    return max(1, min(256, STEPS_AT_ONCE // task.length(lag)))


@torch.no_grad()
def require_nothing_ahead(
    model: Model,
    task: Task,
    lag: int,
    sequences: int,
    generator: torch.Generator,
    device: torch.device,
    memory_bytes: float = math.inf,
) -> None:
    """Try the trained model as it is tested: no answer changes with what comes after it.

    `trainables.models.promises` tries a model before it is trained, on few and short sequences.
    This is on as many at once, as long and as precise as those of a look of ``sequences``, some of
    which are changed after an early answer, some after a late one and some in between; where all
    answers stand at the last step nothing comes after them.

    Raises:
        BrokenPromiseError: in one line.
    """
    at_once = min(sequences, _at_once(task, lag))
    batch = next(iter(task.draw(lag, at_once, at_once, generator))).to(device)
    early = asked(batch.targets) & (batch.scored < batch.inputs.shape[1] - 1)
    if not early.any():
        return
    room, other = Room(model, memory_bytes), batch.inputs.roll(1, 0)
    with tested(model):
        answers = room.answers(batch.inputs, batch.scored)
        for places in _at_a_time((0.0, 0.5, 1.0), len(answers)):
            changed, cuts = batch.inputs.clone(), list[tuple[int, slice]]()
            for k, place in enumerate(places):
                own = slice(k, None, len(places))
                steps = batch.scored[own][early[own]].unique()
                if len(steps):
                    last = int(steps[round(place * (len(steps) - 1))])
                    changed[own, last + 1 :] = other[own, last + 1 :].flip(1)
                    cuts.append((last, own))
            others = room.answers(changed, batch.scored)
            for last, own in cuts:
                before = early[own] & (batch.scored[own] <= last)
                if differ(others[own][before], answers[own][before]):
                    raise BrokenPromiseError(
                        f"model: answers up to step {last} change with later inputs, as it is"
                        f" tested at lag {lag}"
                    )


def _at_a_time(places: Sequence[float], rows: int) -> Iterator[Sequence[float]]:
    """As many together as there are rows for."""
    for first in range(0, len(places), rows):
        yield places[first : first + rows]


def _answers(
    room: Room, batch: Batch, rows: Int[Tensor, " N"], order: torch.Generator
) -> Predictions:
    """What the model answers to some rows when they are shown by themselves, in random order."""
    dealt = torch.randperm(len(rows), generator=order)
    shown = rows[dealt].to(batch.inputs.device)
    answers = room.answers(batch.inputs[shown], batch.scored[shown])
    return answers[dealt.argsort().to(answers.device)]
