"""A task's `Account`: counted over all rows that are used, and what looks hardly meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Num

from trainables.encoding.missing import is_missing
from trainables.encoding.steps import NumberSteps
from trainables.tasks.accounts.account import OfNumbers
from trainables.tasks.accounts.sentinels import Suspect, said, suspects
from trainables.tasks.rows.fitting import Fitted, sample_of
from trainables.tasks.rows.reading import Rows

FEATURES_NAMED = 4

COSTLY = 4.0
"""Steps a batch takes over those that its rows have: from here on it is said."""


def lengths_of(rows: Rows, used: Bool[np.ndarray, " R"]) -> tuple[int, int, int]:
    """Least, median and largest number of steps."""
    lengths = rows.lengths[used]
    return int(lengths.min()), int(np.median(lengths)), int(lengths.max())


def described(numbers: Num[np.ndarray, " K"]) -> OfNumbers:
    """Least, quartiles and greatest."""
    low, lower, median, upper, high = np.percentile(
        numbers.astype(np.float64), (0, 25, 50, 75, 100)
    ).tolist()
    return OfNumbers(low, (lower, median, upper), high)


def numbers_of(
    rows: Rows, used: Bool[np.ndarray, " R"], fitted: Fitted, name: str
) -> tuple[OfNumbers | None, int, float, list[str]]:
    """All values together, how many are missing, their share, and warnings of suspicious ones.

    Quartiles are of a fair sample where there are many; least, greatest and missing are exact.
    """
    steps = fitted.steps
    if not isinstance(steps, NumberSteps):
        return None, 0, 0.0, []
    missing = () if steps.missing is None else steps.missing.values
    features = steps.features
    low, high = np.full(features, np.inf), np.full(features, -np.inf)
    gone = total = 0
    for values in rows.steps_of(used):
        away = is_missing(values, missing)
        gone, total = gone + int(away.sum()), total + away.size
        low = np.fmin(low, np.where(away, np.inf, values).min(0, initial=np.inf))
        high = np.fmax(high, np.where(away, -np.inf, values).max(0, initial=-np.inf))
    sample = sample_of(rows, used)
    known = ~is_missing(sample, missing)
    quartiles = np.percentile(sample[known].astype(np.float64), (25, 50, 75)).tolist()
    found = OfNumbers(float(low.min()), tuple(quartiles), float(high.max()))
    warnings = list(_suspicious(sample, known, low, high, name))
    return found, gone, gone / max(1, total), warnings


def _suspicious(
    sample: Num[np.ndarray, "K F"],
    known: Bool[np.ndarray, "K F"],
    low: Num[np.ndarray, " F"],
    high: Num[np.ndarray, " F"],
    name: str,
) -> Iterator[str]:
    """A line for each suspicious number, with the features that it is in."""
    by_value: dict[str, list[tuple[int, Suspect]]] = defaultdict(list)
    for feature in range(sample.shape[1]):
        values = sample[known[:, feature], feature]
        ends = [end for end in (low[feature], high[feature]) if end not in values]
        for each in suspects(np.append(values, ends)):
            by_value["" if each.tail else said(each.value)].append((feature, each))
    for value, found in by_value.items():
        share = sum(each.share for _, each in found) / sample.shape[1]
        farthest = max((each for _, each in found), key=lambda each: each.distance)
        where = f"{_of_features([f for f, _ in found], sample.shape[1])}, "
        if value:
            yield (
                f"{name}: {_percent(share)} of the values are {value}{where}"
                f"{farthest.distance:,.0f} quartile ranges from the rest: missing values?"
                f" allowed: `missing: {value}`, `scale: robust`"
            )
        else:
            yield (
                f"{name}: {_percent(share)} of the values lie far out{where}"
                f"up to {said(farthest.value)}, {farthest.distance:,.0f} quartile ranges from the"
                " rest: a long tail? allowed: `scale: robust`, `missing: VALUE`"
            )


def _of_features(numbers: Sequence[int], features: int) -> str:
    if features == 1:
        return ""
    shown = ", ".join(map(str, numbers[:FEATURES_NAMED]))
    more = f" and {len(numbers) - FEATURES_NAMED} more" if len(numbers) > FEATURES_NAMED else ""
    return f" (feature {shown}{more})" if len(numbers) == 1 else f" (features {shown}{more})"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 1e-4 else "less than 0.01 %"


def long_tail(steps: tuple[int, int, int], padded: float, name: str) -> Iterator[str]:
    """A line, if the longest row makes batches many times as long as their rows.

    ``padded`` is how many steps are shown for one of a row's own.
    """
    _, median, longest = steps
    if padded >= COSTLY:
        yield (
            f"{name}: the longest row has {longest:,} steps, the median {median:,}: every batch is"
            f" padded to the longest, {padded:,.0f} times the steps that the rows have; allowed:"
            f" `longest: {2 * median}` leaves longer rows out, `pad: batch` pads no farther than a"
            " batch's own longest"
        )
