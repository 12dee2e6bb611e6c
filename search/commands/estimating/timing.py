"""How fast this machine trains what a space draws: some steps of one draw for each kind of cell.

Between the two lags that are timed the rate, in GFLOP a second, changes with the logarithm of the
lag; past them it stays. What is extrapolated is the time alone: operations are counted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from search.commands.estimating.costs import LIKELY, TRIED, Attempt, Drawn
from trainables.models.model import build
from trainables.models.room import needed_bytes
from trainables.tasks.task import Task
from trainables.training.memory import out_of_memory
from trainables.training.probe import seconds_a_sequence

SECONDS = 12.0
"""After which no further kind is tried."""
LONGEST_STEP = 1.0
"""Seconds; the long lag is the longest at which a training step should take no more."""


class Probe(Protocol):
    """Times one sequence of a draw in training, on a task at a lag."""

    def __call__(self, draw: Drawn, task: str, lag: int) -> float:
        """Seconds."""


@dataclass(frozen=True)
class Seconds:
    """Wall time.

    Attributes:
        training: of members that use their whole budget on every rung
        tests: of those, if each look shows all of its sequences
        shown: of those, as far as looks are expected to go
    """

    training: float
    tests: float
    shown: float

    @property
    def at_most(self) -> float:
        """All of it."""
        return self.training + self.tests

    @property
    def likely(self) -> tuple[float, float]:
        """From and to: the parts of training and of rungs that measured trials took."""
        low, high = zip(LIKELY, TRIED, strict=True)
        return self._part(*low), self._part(*high)

    def _part(self, of_training: float, of_rungs: float) -> float:
        return of_training * self.training + of_rungs * self.shown

    def times(self, factor: float) -> Seconds:
        """So many times as long."""
        return Seconds(factor * self.training, factor * self.tests, factor * self.shown)


def added(several: Iterable[Seconds]) -> Seconds:
    """One after the other."""
    each = list(several)
    return Seconds(
        sum(one.training for one in each),
        sum(one.tests for one in each),
        sum(one.shown for one in each),
    )


@dataclass(frozen=True)
class Rate:
    """What one kind of cell computes, in GFLOP a second, at a short lag and a long one."""

    kind: str
    lags: tuple[int, int]
    rates: tuple[float, float]

    def at(self, lag: int) -> float:
        """The rate at a lag."""
        (short, long), (slow, fast) = self.lags, self.rates
        if lag <= short or short == long:
            return slow
        if lag >= long:
            return fast
        part = math.log(lag / short) / math.log(long / short)
        return slow ** (1 - part) * fast**part

    def seconds(self, attempt: Attempt, most: float | None) -> Seconds:
        """Of training, for ``most`` seconds, and of tests."""
        rate = self.at(attempt.lag)
        tests = attempt.a_test * attempt.tests / rate
        return Seconds(min(attempt.gflop / rate, most or math.inf), tests, attempt.shown * tests)


def by_kind(draws: Sequence[Drawn]) -> dict[str, list[Drawn]]:
    """The draws of each kind of cell, those that cost most first."""
    found: dict[str, list[Drawn]] = {}
    for each in draws:
        found.setdefault(each.kind, []).append(each)
    return dict(sorted(found.items(), key=lambda one: -sum(draw.gflop for draw in one[1])))


def typical(draws: Sequence[Drawn]) -> Drawn:
    """The one of median cost."""
    return sorted(draws, key=lambda draw: draw.gflop)[len(draws) // 2]


def measure(
    draws: Sequence[Drawn], probe: Probe, clock: Callable[[], float] = time.monotonic
) -> dict[str, Rate]:
    """The rate of each kind, by a typical draw of it; of at least one, and within `SECONDS`.

    None of a kind whose draw runs out of memory.
    """
    until = clock() + SECONDS
    found: dict[str, Rate] = {}
    for kind, of_kind in by_kind(draws).items():
        draw = typical(of_kind)
        if not draw.attempts or (found and clock() >= until):
            continue
        try:
            found[kind] = _rate(draw, probe)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
    return found


def _rate(draw: Drawn, probe: Probe) -> Rate:
    attempts = [a for a in draw.attempts if a.task == draw.attempts[0].task]
    short = attempts[0]
    slow = short.a_sequence / probe(draw, short.task, short.lag)
    batch = draw.config.training.batch_size
    affordable = [a for a in attempts if batch * a.a_sequence <= LONGEST_STEP * slow]
    within = [a for a in affordable if a.sequences]
    long = max(within, default=short, key=lambda a: a.lag)
    fast = slow if long is short else long.a_sequence / probe(draw, long.task, long.lag)
    return Rate(draw.kind, (short.lag, long.lag), (slow, fast))


def seconds_of(draw: Drawn, rates: Mapping[str, Rate], most: float | None) -> Seconds:
    """Wall time of a trial; a kind that was not tried is as slow as the slowest tried."""
    slowest = min(rates.values(), key=lambda rate: rate.rates[1])
    rate = rates.get(draw.kind, slowest)
    return added(rate.seconds(attempt, most) for attempt in draw.attempts).times(draw.members)


def by_training(tasks: Mapping[str, Task], device: torch.device, memory_bytes: float) -> Probe:
    """A probe that trains."""

    def probe(draw: Drawn, task: str, lag: int) -> float:
        return seconds_a_sequence(draw.config, tasks[task], lag, device, memory_bytes)

    return probe


def memory_at_the_top(draws: Sequence[Drawn], tasks: Mapping[str, Task]) -> float:
    """Bytes of the largest training step at the top, of whole sequences: of each kind's dearest."""
    most = 0.0
    for of_kind in by_kind(draws).values():
        draw = max(of_kind, key=lambda each: each.gflop)
        trained = [attempt for attempt in draw.attempts if attempt.sequences]
        for last in {attempt.task: attempt for attempt in trained}.values():
            model = build(draw.config.model, tasks[last.task], 0)
            size, length = draw.config.training.batch_size, tasks[last.task].length(last.lag)
            most = max(most, needed_bytes(model, size, length))
    return most
