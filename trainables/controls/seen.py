"""Short rungs that are lookup tables: the share of test inputs that training has shown."""

from __future__ import annotations

import torch

from trainables.shapes import Inputs
from trainables.tasks.task import Task

STEPS_AT_MOST = 2**20
"""Sequences times steps of training that are looked at; fewer are shown at long lags."""

TESTED = 512

STEPS_AT_ONCE = 2**24
"""Sequences times steps that are drawn at a time."""

LOOKUP = 0.5
"""The share from which on a rung is called a lookup table."""


def seen_share(task: Task, lag: int, sequences: int, generator: torch.Generator) -> float:
    """The share of held-out sequences whose inputs are among ``sequences`` training sequences.

    Of more than ``STEPS_AT_MOST`` steps of training no more are looked at: the share is then at
    least this. Where it is 1, a table of what was shown answers every test sequence.
    """
    shown = max(1, min(sequences, STEPS_AT_MOST // task.length(lag)))
    known = set(_keys(task.split("train").sample(lag, shown, generator).inputs))
    found = tested = 0
    at_once = max(1, min(TESTED, STEPS_AT_ONCE // task.length(lag)))
    for batch in task.split("test").draw(lag, TESTED, at_once, generator):
        keys = _keys(batch.inputs)
        tested += len(keys)
        found += sum(key in known for key in keys)
    return found / max(1, tested)


def _keys(inputs: Inputs) -> list[bytes]:
    """Of each sequence, the bytes of its inputs."""
    return [row.tobytes() for row in inputs.contiguous().numpy()]
