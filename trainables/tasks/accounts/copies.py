"""Held-out rows that are near copies of training rows: whoever knows those by heart answers them.

Of points that lie independently in d dimensions, k are nearer than r_k, and the nearest is nearer
than r with probability 1 - exp(-k (r / r_k)^d), whatever their density (it is a Poisson process
about the held-out row); r_2k / r_k = 2^(1/d) tells d (Levina & Bickel 2004). Held-out rows whose
nearest training row is nearer than one in a thousand would have it, many times as often, are
copies. Several k are tried, so that copies may be many; none as large as half a class, which may
well be one tight cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8

from trainables.encoding.steps import NumberSteps
from trainables.tasks.rows.fitting import Fitted
from trainables.tasks.rows.reading import Rows
from trainables.tasks.split.splitting import PARTS

HELD_OUT, TRAINING = 256, 2**14
"""Rows that are compared; of more, those of the lowest hashes."""

PLACES = 64
"""Numbers of a row that are compared, evenly spaced from its first to its last step."""

NEIGHBOURS = (16, 64, 256)

BY_CHANCE, COPIES = 1e-3, 0.1
"""How seldom the nearest would be as near; and the share of rows from which on it is told."""

CLIPPED = (2.5, 97.5)
"""Percentiles; numbers are cut off where they are as far from these as these from each other."""

MOST_DIMENSIONS = 16.0
"""Numbers that are few and often equal look as if they had more."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """Some held-out rows, with the nearest training row of each.

    Attributes:
        rows: held-out rows' numbers in the file
        nearest: of each, the training row's
        copies: share of them that look like copies of training rows; 0 where too few do
    """

    rows: Int[np.ndarray, " K"]
    nearest: Int[np.ndarray, " K"]
    copies: float

    def said(self, is_grouped: bool) -> str:
        """What it means, and what to do."""
        allowed = "another `group`" if is_grouped else "`group: COLUMN` keeps them on one side"
        return (
            f"{self.copies:.0%} of the held-out rows are near copies of rows to train on, so that"
            f" knowing those by heart is enough: several rows of one thing? allowed: {allowed}"
        )


def nearest(
    rows: Rows, parts: Int8[np.ndarray, " R"], fitted: Fitted, usual_class: int | None
) -> Nearest:
    """The nearest training row of each of some held-out rows, by what a model is shown of them.

    ``usual_class`` is how many answers of training rows are of the usual class, which may be more
    than there are rows; None where there are no classes.
    """
    held_out = _some(rows, parts == PARTS.index("test"), HELD_OUT)
    training = _some(rows, parts == PARTS.index("train"), TRAINING)
    points = _points(rows, np.concatenate((held_out, training)), fitted)
    shown, known = points[: len(held_out)], points[len(held_out) :]
    squared = (shown**2).sum(1)[:, None] + (known**2).sum(1) - 2 * shown @ known.T
    order = np.argsort(squared, axis=1)[:, : 2 * max(NEIGHBOURS)]
    squared = np.take_along_axis(squared, order, axis=1)
    distances = np.sqrt(np.maximum(squared, 0))
    distances[:, 0] = np.sqrt(((shown - known[order[:, 0]]) ** 2).sum(1))  # nothing is cancelled
    most = (len(training) if usual_class is None else min(len(training), usual_class)) // 2
    share = max((_copies(distances, k) for k in NEIGHBOURS if 2 * k <= most), default=0.0)
    return Nearest(held_out, training[order[:, 0]], share if share >= COPIES else 0.0)


def _copies(distances: Float[np.ndarray, "K n"], k: int) -> float:
    """The share of rows that are nearer to their nearest than chance has it.

    Of many neighbours the dimension is the least of what many and few tell: a bent line fills more
    of a space from afar.
    """
    dimensions = _dimensions(distances, k)
    if k == max(NEIGHBOURS):
        dimensions = min(dimensions, _dimensions(distances, min(NEIGHBOURS)))
    near = distances[:, k - 1]
    ratio = distances[:, 0][near > 0] / near[near > 0]
    chance = -np.expm1(-k * ratio**dimensions)
    return float((chance < BY_CHANCE).sum() / len(distances))


def _dimensions(distances: Float[np.ndarray, "K n"], k: int) -> float:
    near, far = distances[:, k - 1], distances[:, 2 * k - 1]
    told = (far > near) & (near > 0)
    if not told.any():
        return 0.0
    return min(MOST_DIMENSIONS, float(np.median(np.log(2) / np.log(far[told] / near[told]))))


def _some(rows: Rows, chosen: np.ndarray, most: int) -> Int[np.ndarray, " K"]:
    numbers = np.flatnonzero(chosen)
    return numbers[np.argsort(rows.hashes[numbers], kind="stable")[:most]]


def _points(rows: Rows, chosen: Int[np.ndarray, " K"], fitted: Fitted) -> Float[np.ndarray, "K P"]:
    features = rows.values.shape[1]
    places = max(2, PLACES // features)
    spaced = np.linspace(0, 1, places)
    points = []
    for row in chosen.tolist():
        end, length = int(rows.ends[row]), int(rows.lengths[row])
        steps = rows.values[end - length : end]
        points.append(steps[np.round(spaced * (length - 1)).astype(np.int64)])
    encoded = fitted.encode(np.stack(points)).numpy()
    if isinstance(fitted.steps, NumberSteps):
        every = encoded.reshape(-1, encoded.shape[-1])
        low, high = np.percentile(every, CLIPPED, axis=0)
        encoded = np.clip(encoded, 2 * low - high, 2 * high - low)
    else:
        # symbols are alike or not: random signs, whose distances count those that differ
        generator = np.random.default_rng(0)
        signs = generator.choice((-1.0, 1.0), (len(fitted.steps.vocabulary), 16)) / 16**0.5
        encoded = signs[encoded]
    return encoded.reshape(len(chosen), -1).astype(np.float64)
