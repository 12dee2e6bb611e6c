"""A look by stages: it goes on only while it is undecided, and errs exactly as it may.

A *whole* look shows n held-out sequences and passes with c successes, the fewest that establish the
success p asked for at the error alpha. Counts are whole numbers, so it errs with less than alpha:

    P_p(S_n >= c) < alpha.

What is left of alpha is spent here: at sizes n_1 < n_2 < ... < n the look passes already with
c_1, c_2, ... successes. The last number stays c, so a look by stages passes whenever the whole
look would have, and its error is computed exactly, by recursion over the counts with which it has
not passed yet (Schultz, Nichol, Elfring, Weed 1973, "Multiple-stage procedures for drug
screening", Biometrics 29; spending an error over stages is Lan & DeMets 1983, Biometrika 70):

    P_p(passed at any stage) = P_p(S_n >= c)
        + sum over stages j, counts s >= c_j: P_p(not passed before, S_j = s) P_p(S_n < c | S_j = s)

Whoever stops in between, for whatever reason, passes no more often: giving up costs no error. Of
two members the one that is right wherever the other is passes whenever the other does, so no rate
below p errs more than p itself.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc, gammaln, xlog1py, xlogy

from trainables.measure.looks.sizes import sizes
from trainables.measure.reliability import successes_needed

HARDLY, RATES = 0.01, 32
"""Of the probability of passing, at most what giving up loses, at each of so many rates."""

Distribution = np.ndarray
"""Probabilities of the counts 0, 1, ... of successes."""


@dataclass(frozen=True)
class Stages:
    """When a look by stages passes, and when it is given up.

    Attributes:
        sizes: sequences shown by the end of each stage, rising
        needed: successes among them with which it passes there; more than were shown, where it
            cannot
        hopeless: successes with which it would hardly pass any more, or fewer; -1 where none are
        error: probability of passing, at most, of a member whose rate is below the one asked for
    """

    sizes: tuple[int, ...]
    needed: tuple[int, ...]
    hopeless: tuple[int, ...]
    error: float

    @classmethod
    def of(cls, sequences: int, success: float, error: float, by_stages: bool = True) -> Stages:
        """A look at ``sequences`` that establishes ``success`` with at most this ``error``.

        Unless ``by_stages`` it is whole, of one stage.
        """
        return _stages(sequences, success, error, by_stages)

    def passes(self, stage: int, successes: int) -> bool:
        """Whether that many successes by the end of a stage, from 0, establish the rate."""
        return successes >= self.needed[stage]

    def is_hopeless(self, stage: int, successes: int) -> bool:
        """Whether the look would hardly pass any more; never at the last stage."""
        return stage < len(self.sizes) - 1 and successes <= self.hopeless[stage]

    def share(self, stage: int) -> float:
        """The part of a look's error that a further test may take at a stage, from 0.

        One half at the last stage, the other in even parts at those before: together 1, so that a
        test at each, of a fixed size, errs no more than one (a union bound).
        """
        before = len(self.sizes) - 1
        if not before:
            return 1.0
        return 0.5 if stage == before else 0.5 / before

    def chance(self, rate: float) -> float:
        """The probability that a member of this success rate passes; nobody gives up."""
        return sum(passing(self.sizes, self.needed, rate))

    def ends(self, rate: float) -> tuple[float, float]:
        """How often a member of this rate passes, and how many sequences it is shown on average.

        Looks are given up where they are hopeless: who is so at a stage is taken out of those that
        may still pass.
        """
        passed = shown = 0.0
        undecided, before, last = np.ones(1), 0, self.sizes[-1]
        for size, least, most in zip(self.sizes, self.needed, self.hopeless, strict=True):
            counts = np.convolve(undecided, count_chances(size - before, rate))
            passes = float(counts[least:].sum())
            ended = passes + float(counts[: most + 1].sum())
            if size == last:
                ended = float(counts.sum())
            passed, shown = passed + passes, shown + size * ended
            undecided, before = counts[:least].copy(), size
            undecided[: most + 1] = 0
        return passed, shown

    def lower_bound(self, stage: int, successes: int, error: float) -> float:
        """The least rate that is consistent, at ``error``, with how a look ended.

        It passed at ``stage``, from 0, or did not pass at the last. Ways to end are ordered by
        their stage, then by the count (Armitage 1958, "Numerical studies in the sequential
        estimation of a binomial parameter", Biometrika 45): the bound is the rate at which ending
        like this or better has the probability ``error``. Of one stage it is Clopper's and
        Pearson's. At least the rate asked for, exactly where the look passed.
        """
        if successes == 0:
            return 0.0
        ended = self.sizes[: stage + 1], (*self.needed[:stage], successes)
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            if sum(passing(*ended, middle)) <= error:
                low = middle
            else:
                high = middle
        return low


def passing(sizes: Sequence[int], needed: Sequence[int], rate: float) -> list[float]:
    """The probability of passing first at each stage, for a member of a success rate."""
    found, undecided, before = list[float](), np.ones(1), 0
    for size, least in zip(sizes, needed, strict=True):
        if size == sizes[-1]:  # nothing need be carried on from here
            short = least - np.arange(len(undecided))
            found.append(float(undecided @ _at_least(short, size - before, rate)))
            break
        shown = np.convolve(undecided, count_chances(size - before, rate))
        found.append(float(shown[least:].sum()))
        undecided, before = shown[:least], size
    return found


@functools.cache
def _stages(sequences: int, success: float, error: float, by_stages: bool) -> Stages:
    last = successes_needed(sequences, success, 1 - error)
    needed_last = sequences + 1 if last is None else last
    planned = sizes(sequences) if by_stages else (sequences,)
    spent = float(_at_least(np.array([needed_last]), sequences, success)[0])
    left, needed = error - spent, list[int]()
    undecided, before = np.ones(1), 0
    for place, size in enumerate(planned[:-1]):
        shown = np.convolve(undecided, count_chances(size - before, success))
        missing = needed_last - np.arange(len(shown))
        extra = shown * (1 - _at_least(missing, sequences - size, success))
        least = _fewest(extra, left / 2 if place < len(planned) - 2 else left)
        left -= float(extra[least:].sum())
        needed.append(least)
        undecided, before = shown[:least], size
    needed.append(needed_last)
    return Stages(planned, tuple(needed), _hopeless(planned, needed, success), error - left)


def _fewest(extra: Distribution, allowed: float) -> int:
    """The fewest successes from which on all together add no more error than ``allowed``."""
    tails = np.cumsum(extra[::-1])[::-1]
    enough = np.flatnonzero(tails <= allowed)
    return int(enough[0]) if len(enough) else len(extra)


def _hopeless(planned: Sequence[int], needed: Sequence[int], success: float) -> tuple[int, ...]:
    """By stage, the most successes at which to give up, so that hardly any power is lost.

    For each of `RATES` rates from the one asked for up, the probability that a look stands there so
    low and would have passed later; at most an even part of `HARDLY` of the highest.
    """
    lost = [np.zeros(size + 1) for size in planned[:-1]]
    for rate in np.linspace(success, 1, RATES, endpoint=False).tolist():
        later = _passing_later(planned, needed, rate)
        undecided, before = np.ones(1), 0
        for place, size in enumerate(planned[:-1]):
            undecided = np.convolve(undecided, count_chances(size - before, rate))[: needed[place]]
            both = np.cumsum(undecided * later[place][: len(undecided)])
            lost[place][: len(both)] = np.maximum(lost[place][: len(both)], both)
            lost[place][len(both) :] = 1.0
            before = size
    allowed = HARDLY / max(1, len(lost))
    return (*(int(np.flatnonzero([*(each > allowed), True])[0]) - 1 for each in lost), -1)


def _passing_later(
    planned: Sequence[int], needed: Sequence[int], rate: float
) -> list[Distribution]:
    """By stage but the last, the probability of passing later by the count so far."""
    found: list[Distribution] = []
    for place in range(len(planned) - 2, -1, -1):
        here, more = np.arange(planned[place] + 1), planned[place + 1] - planned[place]
        if found:
            then = np.where(np.arange(len(found[-1])) >= needed[place + 1], 1.0, found[-1])
            found.append(np.correlate(then, count_chances(more, rate), "valid"))
        else:
            found.append(_at_least(needed[-1] - here, more, rate))
    return found[::-1]


def count_chances(trials: int, rate: float) -> Distribution:
    """Probabilities of 0 to ``trials`` successes."""
    k = np.arange(trials + 1)
    ways = gammaln(trials + 1) - gammaln(k + 1) - gammaln(trials - k + 1)
    found: Distribution = np.exp(ways + xlogy(k, rate) + xlog1py(trials - k, -rate))
    return found


def _at_least(counts: Distribution, trials: int, rate: float) -> Distribution:
    """Probabilities of at least ``counts`` successes, for each of them."""
    some = np.clip(counts, 1, trials)
    found = np.where(counts > trials, 0.0, bdtrc(some - 1.0, trials, rate))
    return np.where(counts <= 0, 1.0, found)
