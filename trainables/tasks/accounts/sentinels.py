"""Numbers that look as if they stood for nothing: far from all others, and often the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

FAR = 100.0
"""Quartile ranges from the quartiles: hardly a number of the others' kind."""

APART = 3.0
"""Quartile ranges at which a number that comes more than once, behind a gap, is suspicious."""

DISTINCT = 10
"""Other numbers that there must be for a gap to mean anything; known codes need none."""

NEAR_GAP, MOST = 0.25, 4
"""The gap before a known code, in ranges of the others; suspects named of one feature."""

PERCENTILES = ((25, 75), (5, 95), (1, 99), (0, 100))


@dataclass(frozen=True)
class Suspect:
    """A number that may stand for nothing.

    Attributes:
        value: as the file has it
        share: of the feature's values, those that are it; or as far out, where ``tail``
        distance: from the others' quartiles, in their range
        tail: whether many different numbers lie as far out
    """

    value: float
    share: float
    distance: float
    tail: bool = False


def suspects(values: Num[np.ndarray, " K"]) -> Sequence[Suspect]:
    """The suspicious numbers among a feature's values, farthest first."""
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    found: list[Suspect] = []
    while len(distinct) > 1 and len(found) <= MOST:
        ends = [_judged(distinct, counts, end) for end in (-1, 0)]
        worst = max((0, 1), key=lambda place: ends[place][0])
        distance, is_suspicious = ends[worst]
        if not is_suspicious:
            worst = 1 - worst
            distance, is_suspicious = ends[worst]
        if not is_suspicious:
            break
        end = (-1, 0)[worst]
        found.append(Suspect(float(distinct[end]), float(counts[end] / len(values)), distance))
        distinct, counts = np.delete(distinct, end), np.delete(counts, end)
    if len(found) <= MOST:
        return found
    first = found[0]
    share = sum(each.share for each in found) + _share_far(distinct, counts, len(values))
    return [Suspect(first.value, share, first.distance, tail=True)]


def _judged(
    distinct: Float[np.ndarray, " U"], counts: Int[np.ndarray, " U"], end: int
) -> tuple[float, bool]:
    """How far out the least (0) or greatest (-1) number lies, and whether it is suspicious."""
    rest, weights = np.delete(distinct, end), np.delete(counts, end)
    low, high, spread = _middle(rest, weights)
    value, extent = distinct[end], rest[-1] - rest[0]
    beyond = value - high if end else low - value
    gap = value - rest[-1] if end else rest[0] - value
    distance = float(beyond / (spread or max(abs(high), 1.0)))
    if distance >= FAR and (len(rest) >= DISTINCT or is_code(value)):
        return distance, True
    if counts[end] < 2:
        return distance, False
    if is_code(value) and abs(value) >= 99:
        return distance, bool(gap >= NEAR_GAP * extent)
    return distance, bool(distance >= APART and len(rest) >= DISTINCT and gap >= extent)


def _middle(
    distinct: Float[np.ndarray, " U"], counts: Int[np.ndarray, " U"]
) -> tuple[float, float, float]:
    """The quartiles and how far apart they are; percentiles farther out where they are one."""
    upto = np.cumsum(counts)
    for below, above in PERCENTILES:
        places = np.searchsorted(upto, np.array([below, above]) / 100 * upto[-1])
        low, high = distinct[np.minimum(places, len(distinct) - 1)]
        if high > low:
            break
    return float(low), float(high), float(high - low)


def _share_far(
    distinct: Float[np.ndarray, " U"], counts: Int[np.ndarray, " U"], total: int
) -> float:
    low, high, spread = _middle(distinct, counts)
    far = np.maximum(distinct - high, low - distinct) >= FAR * spread
    return float(counts[far].sum() / total)


def is_code(value: float) -> bool:
    """Whether people and formats write this number for nothing.

    All nines, the ends of the integers of 16 and 32 bits, and whatever is 1e15 or more.
    """
    size = abs(value)
    if size >= 1e15:
        return True
    if size != np.floor(size):
        return False
    digits = f"{size:.0f}"
    return set(digits) == {"9"} or size in (32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def said(value: float) -> str:
    """A number as it can be given to ``missing``: float32 is told by nine digits."""
    return f"{value:.9g}"
