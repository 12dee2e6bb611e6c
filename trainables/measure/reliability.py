"""Exact binomial statistics: when a success rate is established, and what it takes.

Source of the interval: Clopper & Pearson 1934, "The use of confidence or fiducial limits
illustrated in the case of the binomial"; its one-sided lower limit for k successes in n trials is
the alpha-quantile of a Beta(k, n - k + 1) distribution.
"""

from __future__ import annotations

import math

from scipy.special import betaincinv

CONFIDENCE = 0.95
"""Confidence of a member's *solved*, over all looks at held-out data on one rung together."""


def lower_bound(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper-Pearson lower bound of a success rate; 0 where nothing was tried."""
    _check(successes, trials, confidence)
    if successes == 0:
        return 0.0
    return float(betaincinv(successes, trials - successes + 1, 1 - confidence))


def upper_bound(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper-Pearson upper bound of a success rate; 1 where nothing was tried."""
    _check(successes, trials, confidence)
    if successes == trials:
        return 1.0
    return float(betaincinv(successes + 1, trials - successes, confidence))


def look_confidence(look: int, confidence: float = CONFIDENCE) -> float:
    """Confidence asked of the ``look``-th held-out test (from 1) of one member on one rung.

    A member that fails a look trains on and may look again. Look i spends the part 1 / (i (i + 1))
    of the error 1 - confidence; the parts sum to 1, so all looks together err by at most that (a
    union bound), and late looks still have something to spend. It holds on a finite held-out set
    too: until a look passes, nothing but "not yet" flows back into training, so the weights tested
    do not depend on the held-out rows.
    """
    if look < 1:
        raise ValueError(f"look: {look} is not allowed; looks count from 1")
    return 1 - (1 - confidence) / (look * (look + 1))


def better_than(won: int, lost: int, confidence: float = CONFIDENCE) -> bool:
    """Whether one of two is shown to succeed more often than the other on the same sequences.

    The exact paired test (McNemar 1947, by the binomial): of the sequences on which just one of
    the two succeeds, ``won`` are the one's and ``lost`` the other's. Were the one no better, each
    would be the one's with a probability of at most one half, however many there are.
    """
    return lower_bound(won, won + lost, confidence) > 0.5


def successes_needed(trials: int, success: float, confidence: float = CONFIDENCE) -> int | None:
    """Fewest successes in ``trials`` whose lower bound reaches ``success``; None if none do."""
    if lower_bound(trials, trials, confidence) < success:
        return None
    low, high = 0, trials  # high always suffices
    while low < high:
        middle = (low + high) // 2
        if lower_bound(middle, trials, confidence) >= success:
            high = middle
        else:
            low = middle + 1
    return high


def trials_needed(success: float, confidence: float = CONFIDENCE) -> int:
    """Fewest trials that can establish ``success``: all of them right, success**n <= alpha."""
    if not 0 < success < 1:
        raise ValueError(f"success: {success} is not allowed; it lies between 0 and 1")
    count = max(1, math.floor(math.log(1 - confidence) / math.log(success)))
    while lower_bound(count, count, confidence) < success:
        count += 1
    return count


def _check(successes: int, trials: int, confidence: float) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"successes: {successes} is not between 0 and trials ({trials})")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence} is not between 0 and 1")
