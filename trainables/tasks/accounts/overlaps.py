"""Held-out rows that share steps with training rows, as windows cut from one recording do."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8, UInt64

from trainables.encoding.steps import NumberSteps
from trainables.tasks.rows.fitting import Fitted
from trainables.tasks.rows.reading import Rows
from trainables.tasks.split.splitting import PARTS

HELD_OUT, TRAINING_STEPS = 256, 2**21
"""Held-out rows, and steps of training rows, that are compared; those of the lowest hashes."""

RUN, DIFFERENT, SHARED = 16, 8, 0.1
"""Steps that follow each other in both rows; different ones among them; the share that is told."""

NUMBERS = 256
"""Different numbers in the held-out rows from which on a run is no coincidence."""

ODD = np.uint64(0x9E3779B97F4A7C15)


def overlapping(rows: Rows, parts: Int8[np.ndarray, " R"], fitted: Fitted) -> float:
    """The share of held-out rows of which a training row has `RUN` steps, at whatever place.

    Of numbers alone; a run of few different steps, as of silence, does not count. 0 where it is
    below `SHARED`.
    """
    if not isinstance(fitted.steps, NumberSteps):
        return 0.0
    held_out = [_steps(rows, row) for row in _of_part(rows, parts, "test")[:HELD_OUT]]
    if len(np.unique(np.concatenate(held_out))) < NUMBERS:
        return 0.0
    training = _of_part(rows, parts, "train")
    most = int(np.searchsorted(np.cumsum(rows.lengths[training]), TRAINING_STEPS, "right"))
    known = np.unique(
        np.concatenate([_hashed(_runs(_steps(rows, row))) for row in training[: max(1, most)]])
    )
    found = [_is_among(_hashed(_of_different(_runs(steps))), known) for steps in held_out]
    share = float(np.mean(found))
    return share if share >= SHARED else 0.0


def _of_part(rows: Rows, parts: Int8[np.ndarray, " R"], name: str) -> list[int]:
    numbers = np.flatnonzero(parts == PARTS.index(name))
    return numbers[np.argsort(rows.hashes[numbers], kind="stable")].tolist()


def _steps(rows: Rows, row: int) -> UInt64[np.ndarray, " T"]:
    """A row's steps, each as one number that tells it from others."""
    end, length = int(rows.ends[row]), int(rows.lengths[row])
    values = np.ascontiguousarray(rows.values[end - length : end], dtype=np.float64)
    return _hashed(values.view(np.uint64))


def _runs(steps: UInt64[np.ndarray, " T"]) -> UInt64[np.ndarray, "n k"]:
    if len(steps) < RUN:
        return np.zeros((0, RUN), np.uint64)
    return np.lib.stride_tricks.sliding_window_view(steps, RUN)


def _of_different(runs: UInt64[np.ndarray, "n k"]) -> UInt64[np.ndarray, "m k"]:
    different = (np.diff(np.sort(runs, axis=1), axis=1) > 0).sum(1) + 1
    return runs[different >= DIFFERENT]


def _is_among(some: UInt64[np.ndarray, " n"], known: UInt64[np.ndarray, " m"]) -> bool:
    """Whether any is one of the ``known``, which ascend."""
    places = np.searchsorted(known, some)
    there = places < len(known)
    return bool((known[places[there]] == some[there]).any())


def _hashed(numbers: UInt64[np.ndarray, "n k"]) -> UInt64[np.ndarray, " n"]:
    """One number for each line of them, by their order too."""
    found = np.zeros(len(numbers), np.uint64)
    for column in numbers.T:
        found = (found ^ (found >> np.uint64(29)) ^ column) * ODD
    return found
