"""The forgetting curve: success of the final weights by lag, learned and beyond."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch

from trainables.measure.records import CurvePoint
from trainables.models.model import Model
from trainables.randomness import Streams
from trainables.tasks.task import Task
from trainables.training.held_out.evaluation import evaluate
from trainables.training.memory import out_of_memory

CURVE_SEQUENCES = 128
BEYOND = (2, 4, 8)
"""Multiples of the reach at which the final weights are tried without training there."""


def forgetting_curve(
    model: Model,
    name: str,
    task: Task,
    passed: Sequence[int],
    streams: Streams,
    most_gflop: float,
    device: torch.device,
    memory_bytes: float = math.inf,
    trained: Sequence[int] | None = None,
) -> Iterator[CurvePoint]:
    """The success of ``model`` at every rung it ``passed`` and at multiples of the last.

    It has learned on those ``trained``, on all that it passed where nothing is said.

    Beyond the reach, the curve ends before a lag that the model cannot read, at which the task has
    no sequences, that does not fit into memory, or that would cost more than ``most_gflop``: at a
    long lag one evaluation of a quadratic model can cost more than all its training.
    """
    test = task.split("test")
    learned_at = passed if trained is None else trained
    for lag in (*passed, *(passed[-1] * k for k in BEYOND)):
        beyond = lag > passed[-1]
        if beyond and not _shown(model, test, lag, most_gflop):
            return
        generator = streams.generator("curve", lag, 0)
        try:
            tally = evaluate(model, test, lag, CURVE_SEQUENCES, generator, device, memory_bytes)
        except (MemoryError, RuntimeError) as error:
            if not beyond or not out_of_memory(error):
                raise
            return
        yield CurvePoint(name, lag, tally.successes, tally.sequences, lag in learned_at)


def extrapolated_lag(points: Iterable[CurvePoint], success: float) -> int | None:
    """The longest lag beyond those learned at which a ``success`` of sequences are right.

    The share shown, not a bound of it; 0 if there is no such lag, None if none beyond was tried.

    Args:
        points: of one task
        success: the rate asked for
    """
    beyond = [point for point in points if not point.learned]
    right = [p.lag for p in beyond if p.successes >= success * p.sequences]
    return max(right, default=0) if beyond else None


def _shown(model: Model, task: Task, lag: int, most_gflop: float) -> bool:
    """Whether there is something to read, the model can, and at no more than ``most_gflop``."""
    if task.distinct_sequences(lag) == 0:
        return False
    length = task.length(lag)
    return model.reads(length) and 1e-9 * CURVE_SEQUENCES * model.flops(length, 1) <= most_gflop
