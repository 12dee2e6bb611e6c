"""How a column's numbers are scaled, learned from training rows; refused where nothing is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num

from trainables.encoding.missing import Missing, MissingValue, is_missing
from trainables.encoding.steps import NumberSteps, Scale
from trainables.tasks.accounts.sentinels import said
from trainables.tasks.rows.reading import Rows

TELLS = 256
"""Levels that the shown numbers of a feature must have, where the file's have as many."""

ALIKE = 1e-12
"""Numbers that differ by less, relatively, are one: sums in another order."""

SPREADS = ((25, 75, 1.349), (5, 95, 3.290), (1, 99, 4.653))
"""Two percentiles, and how many deviations of a normal distribution they are apart."""


@dataclass(frozen=True)
class Scaling:
    """What the user asks for.

    Attributes:
        scale: by mean and deviation, by median and quartiles, or not at all
        missing: numbers that stand for nothing, ``null`` and ``nan``
        indicator: whether a model is told where values are missing
    """

    scale: Scale = "standard"
    missing: tuple[MissingValue, ...] = ()
    indicator: bool = False


def fit_numbers(
    rows: Rows,
    train: Bool[np.ndarray, " R"],
    sample: Num[np.ndarray, "K F"],
    scaling: Scaling,
    name: str,
) -> NumberSteps:
    """How numbers are shown, from the training rows and a fair sample of their steps.

    Raises:
        ValueError: in one line naming the column, if a feature is missing in every training row,
            or if float32 can no longer tell the numbers apart as they would be shown.
    """
    low, high, mean, deviation = _moments(rows, train, scaling.missing, name)
    known = ~is_missing(sample, scaling.missing)
    fill = mean
    if scaling.scale == "robust":
        mean, deviation = _quantiles(sample, known, mean, deviation)
        fill = mean
    elif scaling.scale == "none":
        mean, deviation = np.zeros_like(mean), np.ones_like(deviation)
    steps = NumberSteps(
        whole=rows.values.dtype.kind in "iu",
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        scale=scaling.scale,
        missing=Missing(
            values=scaling.missing, fill=tuple(fill.tolist()), indicator=scaling.indicator
        )
        if scaling.missing
        else None,
    )
    _require_told_apart(steps, sample, known, name)
    return steps


def _moments(
    rows: Rows, train: Bool[np.ndarray, " R"], missing: tuple[MissingValue, ...], name: str
) -> tuple[Float[np.ndarray, " F"], ...]:
    """Of each feature over the training steps: least, greatest, mean and standard deviation.

    Two passes: the second sums squares about the mean, which cancels nothing.
    """
    features = rows.values.shape[1]
    low, high = np.full(features, np.inf), np.full(features, -np.inf)
    total, count = np.zeros(features), np.zeros(features, np.int64)
    for values in rows.steps_of(train):
        wide, known = values.astype(np.float64), ~is_missing(values, missing)
        low = np.minimum(low, np.where(known, wide, np.inf).min(0, initial=np.inf))
        high = np.maximum(high, np.where(known, wide, -np.inf).max(0, initial=-np.inf))
        total += np.where(known, wide, 0.0).sum(0)
        count += known.sum(0)
    if not count.all():
        of = f" of feature {int(np.argmin(count))}" if features > 1 else ""
        raise ValueError(
            f"missing: every value{of} in the training rows of {name!r} of {rows.file} is missing"
        )
    mean = np.where(low == high, low, total / count)
    squares = np.zeros(features)
    for values in rows.steps_of(train):
        known = ~is_missing(values, missing)
        squares += np.where(known, (values - mean) ** 2, 0.0).sum(0)
    deviation = np.sqrt(squares / count)
    return low, high, mean, np.where(deviation > 0, deviation, 1.0)


def _quantiles(
    sample: Num[np.ndarray, "K F"],
    known: Bool[np.ndarray, "K F"],
    mean: Float[np.ndarray, " F"],
    deviation: Float[np.ndarray, " F"],
) -> tuple[Float[np.ndarray, " F"], Float[np.ndarray, " F"]]:
    """Of each feature its median, and the deviation that its quartiles tell.

    Where the quartiles are one, percentiles farther out stand in for them, and the standard
    deviation where those are too.
    """
    medians, spreads = mean.copy(), deviation.copy()
    for feature in range(sample.shape[1]):
        values = sample[known[:, feature], feature].astype(np.float64)
        if len(values) == 0:
            continue
        medians[feature] = np.median(values)
        for below, above, deviations in SPREADS:
            apart = float(np.subtract(*np.percentile(values, (above, below))))
            if apart > 0:
                spreads[feature] = apart / deviations
                break
    return medians, spreads


def _require_told_apart(
    steps: NumberSteps,
    sample: Num[np.ndarray, "K F"],
    known: Bool[np.ndarray, "K F"],
    name: str,
) -> None:
    """Refuse numbers of which the scale leaves float32 too little."""
    shown = steps.encode(sample).numpy()[:, : steps.features]
    for feature in range(steps.features):
        values = sample[known[:, feature], feature].astype(np.float64)
        apart = np.unique(shown[known[:, feature], feature])
        ordered = np.unique(values)
        levels = int((np.diff(ordered) > ALIKE * np.abs(ordered[1:])).sum()) + 1
        bounds = np.array([steps.low[feature], steps.high[feature]])
        with np.errstate(over="ignore"):
            ends = (bounds - steps.mean[feature]) / steps.deviation[feature]
            overflows = not np.isfinite(ends.astype(np.float32)).all()
        if not overflows and len(apart) >= min(TELLS, levels / 2):
            continue
        of = f" of feature {feature}" if steps.features > 1 else ""
        least, greatest = bounds
        farthest = said(max(bounds, key=lambda end: abs(end - np.median(values))))
        raise ValueError(
            f"sequence: {name!r} holds numbers{of} from {least:.6g} to {greatest:.6g}, and float32"
            f" tells only {len(apart):,} of {levels:,} apart once they are scaled; allowed:"
            f" `missing: {farthest}` if that stands for nothing, or another `scale` than"
            f" {steps.scale}"
        )
