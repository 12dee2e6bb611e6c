"""Which choices carry reach: the part of the spread of progress that each explains.

Epsilon squared of the Kruskal-Wallis test (Kelley 1935; Tomczak & Tomczak 2014): among the trials
that made the choice, their ranks by progress, between its values against in all; 0 for nothing,
1 for everything, and about 0 by chance however many values there are. A choice that stands only
where another is made is judged among the trials that have it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kruskal, rankdata

from search.disk.record import Record
from search.results.review import tables
from search.spec import Outline

FEWEST_TRIALS = 8
"""Of a choice that fewer trials made, nothing is said."""
GROUPS = 4
"""Numbers are parted into so many groups of equal size."""
TOLD, LEAST_TOLD = 3, 0.05
"""Choices that a sentence names, at most, and what each explains at least."""
RESAMPLES = 400
AT_ONCE = 1_000_000
"""Values of all the resamples that are ranked together."""
LEVEL = 0.9


@dataclass(frozen=True)
class Importance:
    """What one parameter explains.

    Attributes:
        explained: epsilon squared, at least 0
        low, high: the middle 90 % over resampled trials (bootstrap percentiles)
        p_value: of the Kruskal-Wallis test; by chance one parameter in twenty is below 0.05
        trials: how many made the choice
    """

    parameter: str
    explained: float
    low: float
    high: float
    p_value: float
    trials: int


def importances(trials: pd.DataFrame, names: Sequence[str], seed: int = 0) -> list[Importance]:
    """Of each parameter in a table of trials, largest first; without those that did not vary.

    A sampler that prefers good choices is no experiment: intervals hold the noise of so few trials,
    not that preference, nor what two choices do only together.
    """
    random = np.random.default_rng(seed)
    found = []
    for name in names:
        chosen = trials[trials[name].notna()]
        groups = grouped(chosen[name])
        progress = chosen["progress"].to_numpy(float)
        if len(chosen) < FEWEST_TRIALS or len(set(groups)) < 2 or len(set(progress)) < 2:
            continue
        draws = random.integers(len(chosen), size=(RESAMPLES, len(chosen)))
        again = resampled(groups, progress, draws)
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(again, [tail, 1 - tail])
        test = kruskal(*(progress[groups == group] for group in set(groups)))
        of_all = explained(groups, progress)
        p_value = float(test.pvalue)
        found.append(Importance(name, of_all, float(low), float(high), p_value, len(chosen)))
    return sorted(found, key=lambda one: (-one.explained, one.parameter))


def what_mattered(records: Sequence[Record], spec: Outline) -> str:
    """Which choices carry reach, in a sentence; empty where that cannot be said yet."""
    table = tables.of_search(records, spec)
    return in_words(importances(table, tables.parameters(table))) if len(table) else ""


def in_words(found: Sequence[Importance]) -> str:
    """A sentence on what explains most; empty where nothing can be said of any choice."""
    if not found:
        return ""
    told = [
        f"{one.parameter} explains {one.explained:.0%} ({one.low:.0%} to {one.high:.0%})"
        for one in found[:TOLD]
        if one.explained >= LEAST_TOLD
    ]
    if not told:
        return "What carries reach: no choice by itself explains the spread of progress."
    return (
        f"What carries reach: of the spread of progress {', '.join(told)}. A hint and no "
        "experiment, for the sampler prefers good choices."
    )


def explained(groups: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> float:
    """Epsilon squared of values in groups, each (N,); 0 where there is nothing to tell apart."""
    return float(resampled(groups, values, np.arange(len(values))[None])[0])


def resampled(
    groups: np.ndarray[Any, Any], values: np.ndarray[Any, Any], draws: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Epsilon squared of each of the draws, (R, N), from values in groups, each (N,): (R,)."""
    numbers = np.unique(groups, return_inverse=True)[1]
    parts = min(len(draws), math.ceil(draws.size / AT_ONCE))
    found = [_explained(numbers[part], values[part]) for part in np.array_split(draws, parts)]
    return np.concatenate(found)


def _explained(groups: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Epsilon squared by row, (R,), of values whose groups are numbered, each (R, N)."""
    (rows, count), kinds = values.shape, groups.max() + 1
    ranks = rankdata(values, axis=1)
    places = (groups + kinds * np.arange(rows)[:, None]).ravel()
    sizes, sums = (
        np.bincount(places, weights, rows * kinds).reshape(rows, kinds)
        for weights in (None, ranks.ravel())
    )
    mean = ranks.mean(1)
    between = (sums**2 / np.maximum(sizes, 1)).sum(1) - count * mean**2
    whole = ((ranks - mean[:, None]) ** 2).sum(1)
    there = (sizes > 0).sum(1)
    told = (there > 1) & (there < count) & (whole > 0)
    ratio = between / np.where(told, whole, 1)
    found = 1 - (1 - ratio) * (count - 1) / np.maximum(count - there, 1)
    return np.where(told, np.maximum(0, found), 0)


def grouped(values: pd.Series) -> np.ndarray[Any, Any]:
    """Each value's group, (N,): numbers of many values by quartile, all else by itself."""
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > GROUPS:
        return pd.qcut(values, GROUPS, labels=False, duplicates="drop").to_numpy()
    return values.astype(str).to_numpy()
