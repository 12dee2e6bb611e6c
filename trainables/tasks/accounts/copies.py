"""Held-out rows that are near copies of training rows: whoever knows those by heart answers them.

Of points that lie independently in d dimensions, k are nearer than r_k, and the nearest is nearer
than r with probability 1 - exp(-k (r / r_k)^d), whatever their density (it is a Poisson process
about the held-out row); r_2k / r_k = 2^(1/d) tells d (Levina & Bickel 2004). Held-out rows whose
nearest training row is nearer than one in a thousand would have it, many times as often, are
copies. Several k are tried, so that copies may be many; none as large as half a class, which may
well be one tight cluster.

Numbers are compared twice: as they are, and by their course, for a copy may be louder, higher or
turned upside down. Where they are few, or few different ones, a course says little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, Num

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

FEW, DIFFERENT = 4, 256
"""Numbers of a row, and different ones of all rows or a quarter of them, that a course takes."""

LARGEST = 2.0
"""Numbers of a course are cut off here, where their mean size is 1."""


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
    numbers = _numbers(rows, np.concatenate((held_out, training)), fitted)
    most = (len(training) if usual_class is None else min(len(training), usual_class)) // 2
    order, distances = _neighbours(_points(numbers, fitted), len(held_out))
    first, are_copies = order[:, 0], _copies(distances, most)
    if _have_courses(rows, numbers, fitted):
        order, distances = _neighbours(_courses(numbers), len(held_out), mirrored=True)
        of_courses = _copies(distances, most)
        if max(COPIES, are_copies.mean()) <= of_courses.mean():
            first, are_copies = order[:, 0], of_courses
    share = float(are_copies.mean())
    return Nearest(held_out, training[first], share if share >= COPIES else 0.0)


def _neighbours(
    points: Float[np.ndarray, "N P"], held_out: int, mirrored: bool = False
) -> tuple[Int[np.ndarray, "K n"], Float[np.ndarray, "K n"]]:
    """The nearest others of each of the first points, nearest first, and how far they are.

    If ``mirrored``, a point is as near as its mirror image.
    """
    shown, known = points[:held_out], points[held_out:]
    products = shown @ known.T
    if mirrored:
        products = np.abs(products)
    squared = (shown**2).sum(1)[:, None] + (known**2).sum(1) - 2 * products
    order = np.argsort(squared, axis=1)[:, : 2 * max(NEIGHBOURS)]
    distances = np.sqrt(np.maximum(np.take_along_axis(squared, order, axis=1), 0))
    first = known[order[:, 0]]
    nearest = ((shown - first) ** 2).sum(1)  # nothing is cancelled
    if mirrored:
        nearest = np.minimum(nearest, ((shown + first) ** 2).sum(1))
    distances[:, 0] = np.sqrt(nearest)
    return order, distances


def _copies(distances: Float[np.ndarray, "K n"], most: int) -> Bool[np.ndarray, " K"]:
    """Which rows are nearer to their nearest than chance has it, of up to ``most`` / 2 neighbours.

    By as many neighbours as tell the most of them.
    """
    found = [_nearer(distances, k) for k in NEIGHBOURS if 2 * k <= most]
    nothing = np.zeros(len(distances), bool)
    return max(found, key=lambda each: each.sum(), default=nothing)


def _nearer(distances: Float[np.ndarray, "K n"], k: int) -> Bool[np.ndarray, " K"]:
    """Which rows' nearest is nearer than k neighbours have it.

    Of many neighbours the dimension is the least of what many and few tell: a bent line fills more
    of a space from afar.
    """
    dimensions = _dimensions(distances, k)
    if k == max(NEIGHBOURS):
        dimensions = min(dimensions, _dimensions(distances, min(NEIGHBOURS)))
    near = distances[:, k - 1]
    ratio = np.divide(distances[:, 0], near, out=np.full(len(near), np.inf), where=near > 0)
    return -np.expm1(-k * ratio**dimensions) < BY_CHANCE


def _dimensions(distances: Float[np.ndarray, "K n"], k: int) -> float:
    near, far = distances[:, k - 1], distances[:, 2 * k - 1]
    told = (far > near) & (near > 0)
    if not told.any():
        return 0.0
    return min(MOST_DIMENSIONS, float(np.median(np.log(2) / np.log(far[told] / near[told]))))


def _some(rows: Rows, chosen: np.ndarray, most: int) -> Int[np.ndarray, " K"]:
    numbers = np.flatnonzero(chosen)
    return numbers[np.argsort(rows.hashes[numbers], kind="stable")[:most]]


def _numbers(rows: Rows, chosen: Int[np.ndarray, " K"], fitted: Fitted) -> Num[np.ndarray, "..."]:
    """Some of the rows' steps as a model is shown them; of symbols, their numbers (K, P)."""
    spaced = np.linspace(0, 1, max(2, PLACES // rows.values.shape[1]))
    points = []
    for row in chosen.tolist():
        end, length = int(rows.ends[row]), int(rows.lengths[row])
        steps = rows.values[end - length : end]
        points.append(steps[np.round(spaced * (length - 1)).astype(np.int64)])
    return fitted.encode(np.stack(points)).numpy()


def _points(numbers: Num[np.ndarray, "..."], fitted: Fitted) -> Float[np.ndarray, "K P"]:
    if isinstance(fitted.steps, NumberSteps):
        every = numbers.reshape(-1, numbers.shape[-1])
        low, high = np.percentile(every, CLIPPED, axis=0)
        numbers = np.clip(numbers, 2 * low - high, 2 * high - low)
    else:
        # symbols are alike or not: random signs, whose distances count those that differ
        generator = np.random.default_rng(0)
        signs = generator.choice((-1.0, 1.0), (len(fitted.steps.vocabulary), 16)) / 16**0.5
        numbers = signs[numbers]
    return numbers.reshape(len(numbers), -1).astype(np.float64)


def _have_courses(rows: Rows, numbers: Num[np.ndarray, "..."], fitted: Fitted) -> bool:
    """Whether rows hold enough numbers that are different enough, most of them no filling."""
    used = rows.values.shape[1] * int(np.median(rows.lengths))
    if not isinstance(fitted.steps, NumberSteps) or used < FEW:
        return False
    counts = np.unique(numbers, return_counts=True)[1]
    return bool(
        len(counts) >= min(DIFFERENT, numbers.size // 4) and counts.max() < numbers.size / 2
    )


def _courses(numbers: Num[np.ndarray, "..."]) -> Float[np.ndarray, "K P"]:
    """Rows about their medians, large numbers cut off, all of them of length 1."""
    flat = numbers.reshape(len(numbers), -1).astype(np.float64)
    flat = flat - np.median(flat, axis=1, keepdims=True)
    flat = np.clip(_over(flat, np.abs(flat).mean(1)), -LARGEST, LARGEST)
    return _over(flat, np.linalg.norm(flat, axis=1))


def _over(flat: Float[np.ndarray, "K P"], by: Float[np.ndarray, " K"]) -> Float[np.ndarray, "K P"]:
    return flat / np.where(by > 0, by, 1)[:, None]
